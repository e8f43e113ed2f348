"""``lexport load-files``: write what warehouses need to load the files of one run."""

from __future__ import annotations

from lexport.cli._dest_options import dest_options
from lexport.cli._options import argument, declare_command, option
from lexport.cli._output import notify
from lexport.settings import Destination
from lexport.tables.text import plural


@declare_command(
    "load-files",
    "lexport load-files s3://bucket/fleet -o s3://bucket/load/tonight",
    "lexport load-files fleet --location gs://bucket/fleet -o load",
)
@argument("dest")
@option("Queries", "--snapshot ID", "Load this run instead of the newest snapshot.", "snapshot_id")
@option("Output", "-o, --output-folder PATH", "Write to this new folder, or s3://bucket/prefix.", required=True)
@option("Warehouse", "--location URL", "Name the files by this URL of DEST, e.g. s3://bucket/prefix.")
@dest_options()
def command(dest: Destination, *, snapshot_id: str | None, output_folder: str, location: str | None) -> None:
    """Write what warehouses need to load the files of one run of DEST: its newest snapshot.

    For files in S3: COPY manifests and statements for Redshift, and the partitions of the run's day for Redshift and
    Glue. For files in Google Cloud Storage: load jobs for BigQuery. For both: COPY statements for Snowflake, and the
    partitions for Spark. Everything follows from the run's manifest. See docs/guides/warehouses.md.
    """
    from lexport.model import __version__
    from lexport.query.publish.load_files import COPIED, PROJECT
    from lexport.query.publish.write_load_files import write_load_files

    is_bucket = "://" in output_folder
    done = write_load_files(dest, output_folder, snapshot_id=snapshot_id, location=location)
    notify(f"{plural(len(done.names), 'file')} for {done.commit.snapshot_id} written to {output_folder}")
    if done.commit.lexport_version != __version__:
        notify(
            f"lexport {done.commit.lexport_version} wrote it; its files may have other columns than {__version__} has"
        )
    if any(name.startswith("redshift") for name in done.names) and not is_bucket:
        notify(f"Redshift reads manifests from S3: upload {output_folder}, and put its URL into redshift-copy.sql")
    if any(name.startswith("bigquery") for name in done.names):
        notify(f"BigQuery: replace {PROJECT} by the project, and create the dataset {COPIED}")
