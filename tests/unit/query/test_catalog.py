"""What counts as a dataset, what is latest, and what is said about it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from lexport.errors import NoSnapshotError, RunError, SettingsError, ViewError
from lexport.model import Scope
from lexport.query.catalog import open_catalog
from lexport.query.shipped_views import named_views, read_view, shipped_views, sql_dir
from lexport.query.sql_text import escape_glob

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
DAY = timedelta(days=1)
HOME = Scope(account_id="111122223333", region="eu-west-1")
AWAY = Scope(account_id="111122223333", region="us-east-1")


def test_newest_first(tmp_path, write_dataset):
    """Manifests come newest first, whatever order the folder has, and uncommitted files are not seen."""
    write_dataset(tmp_path, [{"at": AT}, {"at": AT + DAY}, {"at": AT + 2 * DAY, "commit": False}])

    dataset = open_catalog(tmp_path)

    assert [snapshot.snapshot_at for snapshot in dataset.manifests] == [AT + DAY, AT]
    assert len(dataset.files("functions")) == 2


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda path: None, SettingsError, "does not exist"),
        (lambda path: path.write_text(""), SettingsError, "is a file"),
        (lambda path: (path.mkdir(), (path / "photo.jpg").touch()), SettingsError, "is not a lexport dataset"),
        (lambda path: path.mkdir(), NoSnapshotError, "holds no snapshot yet; run: lexport snapshot"),
        (lambda path: (path / "_staging").mkdir(parents=True), NoSnapshotError, "holds no snapshot yet"),
        (lambda path: (path / "_runs").mkdir(parents=True), NoSnapshotError, "holds no snapshot yet"),
    ],
)
def test_no_dataset(tmp_path, make, error, text):
    """A destination that cannot be read says in one line which one and why."""
    make(tmp_path / "fleet")

    with pytest.raises(error, match=text) as caught:
        open_catalog(tmp_path / "fleet")

    assert str(tmp_path / "fleet") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_url():
    """A destination that is neither a folder nor an object store is refused by name."""
    with pytest.raises(SettingsError, match="http://bucket/fleet"):
        open_catalog("http://bucket/fleet")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"format": "lexport-manifest/1"}', b"\xff"])
def test_damaged_manifest(tmp_path, write_dataset, body):
    """A damaged manifest is passed over, and named with what to do; where there is no other, that is an error."""
    older, newer = write_dataset(tmp_path, [{}, {}])
    path = tmp_path / "_runs" / f"{newer.snapshot_id}.json"
    path.write_bytes(body)

    dataset = open_catalog(tmp_path)
    assert (dataset.manifests, [found.snapshot_id for found in dataset.damaged]) == ((older,), [newer.snapshot_id])
    (line,) = dataset.notices()
    assert line.startswith(f"snapshot {newer.snapshot_id} is damaged (_runs/{newer.snapshot_id}.json: ")
    assert "an older one is shown: lexport verify" in line

    (tmp_path / "_runs" / f"{older.snapshot_id}.json").unlink()
    with pytest.raises(RunError, match=f"{path.name}.*see.* lexport verify {tmp_path}"):
        open_catalog(tmp_path)


def test_foreign_manifest(tmp_path, write_dataset):
    """A manifest under another snapshot's name is not believed."""
    (found,) = write_dataset(tmp_path, [{}])
    path = tmp_path / "_runs" / f"{found.snapshot_id}.json"
    path.rename(path.with_name("01K00000000000000000000009.json"))

    with pytest.raises(RunError, match="is the manifest of"):
        open_catalog(tmp_path)


def test_a_newer_format(tmp_path, write_dataset):
    """What a newer lexport wrote is not missing without a word: the release is too old for this dataset."""
    _, newer = write_dataset(tmp_path, [{}, {}])
    path = tmp_path / "_runs" / f"{newer.snapshot_id}.json"
    path.write_text(json.dumps({"format": "lexport-manifest/3", "all": "else", "is": ["new"]}))

    with pytest.raises(RunError, match=f"{path.name}: written by a newer lexport .*; upgrade lexport"):
        open_catalog(tmp_path)


def test_latest(tmp_path, write_dataset):
    """Latest is each account-region's newest whole reading: no partial night, no list of functions hides it."""
    first, second, _, _ = write_dataset(
        tmp_path,
        [
            {"scopes": [{}, {"region": "us-east-1"}]},
            {"scopes": [{}]},
            {"scopes": [{"status": "partial"}, {"region": "us-east-1", "status": "denied"}]},
            {"scopes": [{"coverage": "selection"}]},
        ],
    )

    assert {HOME: second, AWAY: first} == open_catalog(tmp_path).latest()


def test_packages_alone(tmp_path, write_dataset):
    """A commit of packages is no snapshot: it is neither the newest nor latest, and alone it makes no dataset."""
    first, packages = write_dataset(tmp_path, [{}, {"scopes": [], "packages": []}])

    dataset = open_catalog(tmp_path)
    assert dataset.manifests == (packages, first)
    assert dataset.snapshots == (first,)
    assert dataset.newest == first
    assert dataset.newest_with("packages") == (packages,)
    assert dataset.newest_with("package_files") == ()
    assert dataset.newest_with("errors") == (first,)
    assert dataset.latest() == {HOME: first}

    (tmp_path / "_runs" / f"{first.snapshot_id}.json").unlink()
    with pytest.raises(NoSnapshotError, match="no snapshot; run: lexport snapshot"):
        open_catalog(tmp_path)


def test_what_was_left_out_is_said_of_the_tables_asked(tmp_path, write_dataset):
    """A table that a run was asked to leave empty does not look like one without rows; another one needs no word."""
    (written,) = write_dataset(tmp_path, [{"at": AT, "functions": [{"function_name": "f", "version": "$LATEST"}]}])
    path = tmp_path / "_runs" / f"{written.snapshot_id}.json"
    path.write_text(path.read_text().replace('"options": {}', '"options": {"env": "none"}'))

    assert notices(tmp_path, tables={"functions"}) == ()
    assert notices(tmp_path, tables={"env_vars"}) == ("111122223333 eu-west-1: variables were left out (--env none)",)


def test_published_versions_left_out(tmp_path, write_dataset):
    """Where only $LATEST was read, routes and variables of versions are missing without being absent."""
    (written,) = write_dataset(tmp_path, [{"at": AT}])
    path = tmp_path / "_runs" / f"{written.snapshot_id}.json"
    path.write_text(path.read_text().replace('"options": {}', '"options": {"qualifiers": "latest"}'))
    line = "111122223333 eu-west-1: published versions were left out (--qualifiers latest)"

    found = {table: notices(tmp_path, tables={table}) for table in ("env_vars", "alias_routes", "tags")}
    assert found == {"env_vars": (line,), "alias_routes": (line,), "tags": ()}


def test_latest_left_out(tmp_path, write_dataset):
    """Where $LATEST was not read, its rows are missing from functions and from every table of what belongs to them."""
    (written,) = write_dataset(tmp_path, [{"at": AT}])
    path = tmp_path / "_runs" / f"{written.snapshot_id}.json"
    path.write_text(path.read_text().replace('"options": {}', '"options": {"qualifiers": "published"}'))
    tables = ("functions", "env_vars", "layers", "subnets", "security_groups", "file_systems")

    for table in tables:
        assert notices(tmp_path, tables={table}) == (
            "111122223333 eu-west-1: $LATEST was left out (--qualifiers published)",
        )
    assert notices(tmp_path, tables={"aliases"}) == ()


def notices(tmp_path, **options):
    return open_catalog(tmp_path).notices(**options)


def test_no_notice(tmp_path, write_dataset):
    """A whole fleet read at once needs no words, nor does a region that was never switched on."""
    write_dataset(tmp_path, [{"scopes": [{}, {"region": "us-east-1", "status": "unavailable"}]}])

    assert notices(tmp_path) == ()


def test_notice_of_selection(tmp_path, write_dataset):
    """Where only lists of functions were read, one line says that plain names are empty and what to use."""
    write_dataset(tmp_path, [{"scopes": [{"coverage": "selection"}]}])

    (line,) = notices(tmp_path)

    assert "plain table names are empty, use snapshot.<table>" in line


def test_notice_of_skew(tmp_path, write_dataset):
    """Parts that differ in age by more than the limit name the oldest; less is silent."""
    write_dataset(tmp_path, [{"at": AT, "scopes": [{"region": "us-east-1"}]}, {"at": AT + 2 * DAY, "scopes": [{}]}])

    assert notices(tmp_path, max_skew=2 * DAY) == ()
    (line,) = notices(tmp_path)
    assert line == (
        "the latest parts differ in age by more than 36h: 111122223333 us-east-1 was read 2026-11-22 02:00 UTC,"
        " the newest 2026-11-24 02:00 UTC"
    )


def test_notice_of_partial_night(tmp_path, write_dataset):
    """A newer reading that is not whole is said, as is an account-region that never was."""
    write_dataset(
        tmp_path,
        [{}, {"at": AT, "scopes": [{"status": "partial"}, {"region": "us-east-1", "status": "denied"}]}],
    )

    older, absent = notices(tmp_path)
    newest = "01K00000000000000000000002"
    assert (
        older
        == f"a newer snapshot ({newest}) is not whole, so an older one is shown for 111122223333 eu-west-1 (partial)"
    )
    assert (
        absent == "never read whole, so not in plain table names: 111122223333 us-east-1 (denied); see snapshot.errors"
    )


def test_escape_glob():
    """Characters that mean something to DuckDB's patterns stand for themselves; a backslash cannot."""
    assert escape_glob("/a*b?c[d]") == "/a[*]b[?]c[[]d]"
    with pytest.raises(SettingsError, match="backslash"):
        escape_glob("/a\\b")


@pytest.mark.parametrize(
    "head", ["-- question: why\n-- column a: b\n", "-- question: why\n-- grain: x\n", "-- hello\n"]
)
def test_bad_head(tmp_path, head):
    """A view whose head lacks something is refused by its file name."""
    path = tmp_path / "01_x.sql"
    path.write_text(head + "SELECT 1 AS a\n")

    with pytest.raises(ViewError, match=r"01_x\.sql"):
        read_view(path)


def test_sql_dir():
    """The shipped views are found from an editable install and from the wheel."""
    assert (sql_dir() / "01_runtimes.sql").is_file()


def test_named_views():
    """A statement needs the views it names, and those they name; one that may find views otherwise needs all."""
    every = shipped_views()

    assert [view.name for view in named_views(every, "SELECT * FROM Code_Storage")] == [
        "unattributed_calls",
        "prunable_versions",
        "code_storage",
    ]
    assert named_views(every, "SELECT 1 FROM functions") == ()
    assert named_views(every, "SELECT * FROM information_schema.tables") == every
    assert named_views(every, "FROM query('SELECT * FROM run' || 'times')") == every
