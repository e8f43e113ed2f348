"""The files of a snapshot: names, types, order, modes, and a correct manifest."""

import hashlib
import json
import os
import re
import stat

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lexport.simulator import Fleet, FleetSpec
from lexport.tables.arrow import table_schema
from lexport.tables.registry import BY_NAME, tables

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

CONTRACT = {
    "changes": """
        snapshot_id snapshot_at account_id region kind table_name key column_name old_value new_value
        previous_snapshot_id
    """,
    "functions": """
        snapshot_id snapshot_at account_id region function_name version function_arn runtime role handler code_size
        description timeout memory_size last_modified last_modified_at code_sha256 package_type architecture revision_id
        state state_reason state_reason_code last_update_status last_update_status_reason last_update_status_reason_code
        ephemeral_storage_size tracing_config_mode kms_key_arn environment_error_code environment_error_message
        vpc_config_vpc_id vpc_config_ipv6_allowed_for_dual_stack dead_letter_config_target_arn master_arn
        signing_profile_version_arn signing_job_arn image_config_entry_point image_config_command
        image_config_working_directory image_config_error_code image_config_error_message snap_start_apply_on
        snap_start_optimization_status runtime_version_config_runtime_version_arn runtime_version_config_error_code
        runtime_version_config_error_message logging_config_log_format logging_config_application_log_level
        logging_config_system_log_level logging_config_log_group tenancy_config_tenant_isolation_mode
        capacity_provider_arn
        capacity_provider_per_environment_max_concurrency
        capacity_provider_environment_memory_gib_per_vcpu config_sha256 durable_config_kms_key_arn
        durable_config_retention_period_in_days durable_config_execution_timeout runtime_config_runtime_arn
        runtime_config_runtime_alias accelerator_config_accelerator_memory_size code_repository_type code_image_uri
        code_resolved_image_uri code_resolved_s3_object_bucket code_resolved_s3_object_key
        code_resolved_s3_object_version code_source_kms_key_arn code_error_code code_error_message tags_error_code
        tags_error_message reserved_concurrent_executions extra_json fetched_at carried_forward
    """,
    "aliases": """
        snapshot_id snapshot_at account_id region function_name alias function_version description revision_id
        extra_json fetched_at carried_forward
    """,
    "env_vars": """
        snapshot_id snapshot_at account_id region function_name version name value value_length value_hmac hash_key_id
        secret_rule
    """,
}
INT32 = {
    "timeout",
    "memory_size",
    "ephemeral_storage_size",
    "capacity_provider_per_environment_max_concurrency",
    "durable_config_retention_period_in_days",
    "durable_config_execution_timeout",
    "accelerator_config_accelerator_memory_size",
    "reserved_concurrent_executions",
    "value_length",
}
TYPES = {
    **dict.fromkeys(INT32, pa.int32()),
    **dict.fromkeys(("snapshot_at", "last_modified_at", "fetched_at"), pa.timestamp("us", "UTC")),
    **dict.fromkeys(("vpc_config_ipv6_allowed_for_dual_stack", "carried_forward"), pa.bool_()),
    "code_size": pa.int64(),
    "capacity_provider_environment_memory_gib_per_vcpu": pa.float64(),
}
TABLES = {table.name for table in tables()} - {"snapshots"}
READ = {
    *("functions", "aliases", "alias_routes", "tags", "env_vars", "layers", "subnets", "security_groups"),
    *("file_systems", "account_settings", "changes", "errors", "scopes", "scope_resources"),
    *("event_source_mappings", "code_signing_configs", "function_code_signing"),
}


@pytest.fixture
async def fleet():
    return Fleet(FleetSpec(functions=60, versions=2))


async def test_contract(simulator, run_lexport, flags, look, tmp_path):
    """Tables, columns, types and order are those of the contract; an empty table is a typed empty file, read or not."""
    for functions in (60, 0):
        dest = tmp_path / str(functions)
        async with simulator(functions=functions) as aws:
            done = await run_lexport("snapshot", dest, *flags(aws.url))
        assert done.code == 0, done.err
        commit = look.newest(dest)
        assert {entry.table for entry in commit.files} == TABLES
        assert {entry.table for entry in commit.files if entry.read} == READ
        assert {*TABLES, "snapshots", "_runs", "_latest.json", "_staging"} == {path.name for path in dest.iterdir()}
        for entry in commit.files:
            schema = pq.read_schema(dest / entry.path)
            assert schema.names[:4] == ["snapshot_id", "snapshot_at", "account_id", "region"]
            if entry.table in CONTRACT:
                names = CONTRACT[entry.table].split()
                assert names == schema.names
                assert [TYPES.get(name, pa.string()) for name in names] == schema.types
            if not entry.read:
                assert schema.equals(table_schema(BY_NAME[entry.table]), check_metadata=True)
    (dest / commit.files[-1].path).unlink()
    verified = await run_lexport("verify", dest, "--output", "jsonl")
    assert (verified.code, json.loads(verified.out)["path"]) == (4, commit.files[-1].path)
    assert not commit.files[-1].read
    assert (await run_lexport("sql", dest, f"SELECT * FROM history.{commit.files[-1].table}")).code == 0


async def test_sorted_and_distinct(simulator, run_lexport, flags, look, tmp_path):
    """Rows are sorted by account, region and their own key, and no key comes twice."""
    regions = ("--region", "us-east-1", "--region", "eu-west-1")
    async with simulator(functions=60, versions=3) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url, *regions))

    assert done.code == 0, done.err
    for table, key in look.sorted_by.items():
        rows = look.read_rows(tmp_path / "fleet")[table]
        keys = [tuple(row[name] for name in ("account_id", "region", *key)) for row in rows]
        assert keys
        assert sorted(set(keys)) == keys, table


async def test_manifest(simulator, run_lexport, flags, look, tmp_path):
    """The manifest is true of every file and scope; the hint and `snapshots` follow it."""
    dest = tmp_path / "fleet"
    async with simulator(functions=5) as aws:
        assert (await run_lexport("snapshot", dest, *flags(aws.url))).code == 0
        assert (await run_lexport("snapshot", dest, *flags(aws.url))).code == 0

    runs = sorted(dest.glob("_runs/*.json"))
    named = set()
    for run in runs:
        commit = json.loads(run.read_bytes())
        assert ("lexport-manifest/1", run.stem, "complete", 0) == tuple(
            commit[name] for name in ("format", "snapshot_id", "status", "gaps")
        )
        assert commit["snapshot_at"] <= commit["committed_at"]
        assert look.hash_key_id() == commit["hash_key_id"]
        assert [(look.account, look.region, "fleet", "complete", 5)] == [
            tuple(scope[name] for name in ("account_id", "region", "coverage", "status", "functions"))
            for scope in commit["scopes"]
        ]
        for entry in commit["files"]:
            body = (dest / entry["path"]).read_bytes()
            assert (len(body), hashlib.sha256(body).hexdigest()) == (entry["size_bytes"], entry["sha256"])
            assert pq.read_metadata(dest / entry["path"]).num_rows == entry["rows"]
            day = commit["snapshot_at"][:10]
            assert f"{entry['table']}/snapshot_date={day}/{run.stem}-0000.parquet" == entry["path"]
            named.add(entry["path"])
        (row,) = pq.ParquetFile(next(dest.glob(f"snapshots/*/{run.stem}-0000.parquet"))).read().to_pylist()
        assert (run.stem, "complete", None) == (row["snapshot_id"], row["status"], row["account_id"])
    files = {path for path in look.tree(dest) if path.endswith(".parquet") and not path.startswith("snapshots/")}
    assert named == files
    assert {"snapshot_id": runs[-1].stem} == json.loads((dest / "_latest.json").read_bytes())


@pytest.mark.parametrize(
    ("arguments", "file_mode", "folder_mode"), [([], 0o600, 0o700), (["--group-readable"], 0o640, 0o750)]
)
async def test_modes(simulator, run_lexport, flags, tmp_path, arguments, file_mode, folder_mode):
    """Files are 0600 and folders 0700, or 0640 and 0750 with --group-readable, whatever the umask."""
    dest = tmp_path / "new" / "fleet"
    before = os.umask(0o077 if arguments else 0)
    try:
        async with simulator(functions=5) as aws:
            done = await run_lexport("snapshot", dest, *flags(aws.url, *arguments))
    finally:
        os.umask(before)

    assert done.code == 0, done.err
    paths = [dest, *dest.rglob("*")]
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in paths}
    assert {(True, folder_mode), (False, file_mode)} == modes


async def test_modes_of_staging(simulator, run_lexport, start_lexport, flags, look, tmp_path):
    """The staging files of a failed run are as private as the dataset."""
    from lexport.simulator import Fault

    before = os.umask(0)
    try:
        async with simulator(Fault(operation="ListAliases", kind="denied", times=None)) as aws:
            done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url))
    finally:
        os.umask(before)

    assert done.code == 1
    left = list((tmp_path / "fleet" / "_staging").rglob("*"))
    assert len(left) > 7
    assert {(True, 0o700), (False, 0o600)} == {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in left}


async def test_hash_key_is_made_once(simulator, run_lexport, flags, look, tmp_path):
    """Without a key, one is made in the state folder with mode 0600 and used again; a different key is noted."""
    dest = tmp_path / "fleet"
    async with simulator() as aws:
        first = await run_lexport("snapshot", dest, *flags(aws.url), LEXPORT_HASH_KEY=None)
        key_id = look.newest(dest).hash_key_id
        second = await run_lexport("snapshot", dest, *flags(aws.url), LEXPORT_HASH_KEY=None)
        again = look.newest(dest).hash_key_id
        other = await run_lexport("snapshot", dest, *flags(aws.url))

    assert (first.code, second.code, other.code) == (0, 0, 0)
    assert key_id == again != look.newest(dest).hash_key_id
    assert "note:" not in first.err + second.err
    assert re.search(rf"note: the hash key {look.hash_key_id()} is not the {key_id} of the last snapshot", other.err)
    (made,) = (tmp_path / "state").rglob("*.key")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
