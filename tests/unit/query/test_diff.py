"""What changed between two moments: which readings are compared, what is said of the others, how it reads."""

import json
from datetime import UTC, datetime, timedelta

import pytest

import lexport
from lexport.errors import ReadError, SettingsError

AT = datetime(2026, 11, 20, 2, tzinfo=UTC)
DAY = timedelta(days=1)
HERE, THERE = {"region": "eu-west-1"}, {"region": "us-east-1"}
F = {"function_name": "f", "version": "$LATEST"}

pytestmark = pytest.mark.asyncio


def night(day, memory_size, *, scopes=(HERE, THERE), **more):
    rows = [{**F, "region": place["region"], "memory_size": memory_size} for place in scopes]
    return {"at": AT + day * DAY, "scopes": list(scopes), "functions": rows, **more}


async def states(dest, *moments):
    found = await lexport.diff(dest, *moments)
    return {scope.region: (scope.state, scope.reason) for scope in found.scopes}, [
        (row["region"], row["old_value"], row["new_value"]) for row in found.changes.to_pylist()
    ]


async def test_the_last_two_whole_readings(tmp_path, write_dataset):
    """Each account-region's last whole reading is compared with the whole one before it, whatever lies between."""
    partial = {**THERE, "status": "partial"}
    nights = [night(0, 1), night(1, 2, scopes=(HERE, partial), status="partial"), night(2, 3)]
    write_dataset(tmp_path, nights)

    _, rows = await states(tmp_path)
    assert rows == [("eu-west-1", "2", "3"), ("us-east-1", "1", "3")]


async def test_one_job_per_account_region(tmp_path, write_dataset):
    """Jobs of their own into one dataset are compared each with its own night before."""
    nights = [night(0, 1, scopes=[HERE]), night(1, 2, scopes=[THERE]), night(2, 3, scopes=[HERE])]
    write_dataset(tmp_path, nights)

    found, rows = await states(tmp_path)
    assert rows == [("eu-west-1", "1", "3")]
    assert found["us-east-1"] == ("first_reading", "first read whole in 01K00000000000000000000002: 0 functions")


async def test_what_is_not_compared_is_said(tmp_path, write_dataset):
    """A reading that is not whole is never compared, nor is one that looked at other versions; each says why."""
    denied = {**THERE, "status": "denied"}
    off = {"region": "me-south-1", "status": "unavailable"}
    write_dataset(tmp_path, [night(0, 1), night(1, 2, scopes=(HERE, off, denied), status="partial")])

    found, rows = await states(tmp_path)
    assert rows == [("eu-west-1", "1", "2")]
    assert found == {
        "eu-west-1": ("compared", ""),
        "us-east-1": ("not_whole", "denied in 01K00000000000000000000002"),
    }


@pytest.mark.parametrize(
    ("moments", "changed"),
    [
        ((), ("3", "4")),
        (("2026-11-20",), ("1", "4")),
        (("01K00000000000000000000002",), ("2", "4")),
        (("01k00000000000000000000001", "2026-11-22T02:00:00Z"), ("1", "3")),
        (("2026-11-21T01:59:59", "2026-11-22T03:00:00+02:00"), ("1", "2")),
    ],
)
async def test_moments(tmp_path, write_dataset, moments, changed):
    """A moment is an id, a date, which ends with its day, or an instant; zones are honoured."""
    write_dataset(tmp_path, [night(day, day + 1, scopes=[HERE]) for day in range(4)])

    assert (await states(tmp_path, *moments))[1] == [("eu-west-1", *changed)]


@pytest.mark.parametrize(
    ("moments", "text"),
    [
        (("nonsense",), "A nonsense is no snapshot of this dataset; lexport status lists them"),
        (("01K0",), "A 01K0 begins the ids of 2 snapshots"),
        (("2026-02-30",), "A 2026-02-30 is no date or instant; write it like 2026-11-20"),
        (("2026-11-19",), "A 2026-11-19: no snapshot is that old; the first is 01K00000000000000000000001"),
        (("2026-11-21", "2026-11-20"), "A 2026-11-21 is not before B 2026-11-20"),
        (("",), "A  is no snapshot"),
    ],
)
async def test_wrong_moments(tmp_path, write_dataset, moments, text):
    """What is no moment of the dataset is refused by name."""
    write_dataset(tmp_path, [night(0, 1), night(1, 2)])

    with pytest.raises(SettingsError, match=text):
        await lexport.diff(tmp_path, *moments)


async def test_a_damaged_file_is_named(tmp_path, write_dataset):
    """A file that is gone ends the comparison with its name, it is no deletion."""
    first, _ = write_dataset(tmp_path, [night(0, 1), night(1, 2)])
    (path,) = (tmp_path / "functions").rglob(f"{first.snapshot_id}*")
    path.unlink()

    with pytest.raises(ReadError, match=path.name):
        await lexport.diff(tmp_path)


async def test_as_people_read_it(tmp_path, write_dataset, run_lexport):
    """The report groups by function, says each thing once, hides what only echoes it, and tames hostile text."""
    alias, route = {"function_name": "f", "alias": "live"}, {"function_name": "f", "alias": "live", "weight": 1.0}
    arn = "arn:aws:lambda:eu-west-1:111122223333:layer:otel"
    variable = {**F, "name": "URL", "value_hmac": "aa", "value_length": 3}
    gone = [{"function_name": "gone", "version": version} for version in ("$LATEST", "1")]
    before = {
        "functions": [{**F, "revision_id": "a", "memory_size": 128}, {**F, "version": "1"}, *gone],
        "aliases": [{**alias, "function_version": "1", "revision_id": "a"}],
        "alias_routes": [{**route, "version": "1"}],
        "layers": [{**F, "position": 0, "layer_arn": f"{arn}:3", "code_size": 1}],
        "env_vars": [variable],
        "tags": [{"function_name": "f", "key": "team", "value": "blue"}],
        "account_settings": [{"concurrent_executions_limit": 10}],
    }
    now = {
        "functions": [{**F, "revision_id": "b", "memory_size": 256, "description": ""}, {**F, "version": "2"}],
        "aliases": [{**alias, "function_version": "2", "revision_id": "b"}],
        "alias_routes": [{**route, "version": "2"}],
        "layers": [{**F, "position": 0, "layer_arn": f"{arn}:4", "code_size": 2}],
        "env_vars": [{**variable, "value_hmac": "bb", "value_length": 4}, {**variable, "name": "NEW"}],
        "tags": [{"function_name": "f", "key": "team", "value": "\x1b[31mred\n+ fake"}],
        "account_settings": [{"concurrent_executions_limit": 20}],
        "code_signing_configs": [{"code_signing_config_arn": "arn:aws:lambda:eu-west-1:111122223333:csc:a"}],
    }
    denied = {**THERE, "status": "partial"}
    write_dataset(
        tmp_path / "fleet",
        [{"at": AT, "scopes": [HERE], **before}, {"at": AT + DAY, "scopes": [HERE, denied], **now}],
    )
    done = await run_lexport("diff", "fleet")

    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "111122223333 eu-west-1: 2026-11-20T02:00:00Z -> 2026-11-21T02:00:00Z",
        "  ~ limit concurrent_executions_limit 10 -> 20",
        "  + code signing configuration arn:aws:lambda:eu-west-1:111122223333:csc:a",
        "  + f:2",
        "  - f:1",
        "  ~ f alias live 1 -> 2",
        "  + f:$LATEST variable NEW",
        "  ~ f:$LATEST variable URL value changed, length 3 -> 4",
        '  ~ f:$LATEST description unset -> ""',
        "  ~ f:$LATEST memory_size 128 -> 256",
        "  ~ f:$LATEST layer otel 3 -> 4",
        "  ~ f tag team blue -> \\x1b[31mred\\n+ fake",
        "  - gone (2 versions)",
        (
            "2 functions differ: versions +1 -3 ~1, aliases ~1, routes +1 -1, tags ~1, variables +1 ~1, layers ~1,"
            " limits ~1, code signing configs +1"
        ),
        "not compared: 111122223333 us-east-1, partial in 01K00000000000000000000002",
    ]


async def test_for_machines(tmp_path, write_dataset, run_lexport):
    """JSON is one object with the state of every account-region and the rows; the other formats are the rows."""
    write_dataset(tmp_path / "fleet", [night(0, 1, scopes=[HERE]), night(1, 2)])
    as_json, lines, none = [
        await run_lexport("diff", "fleet", *more)
        for more in (("--output", "json"), ("--output", "jsonl"), ("2026-11-21",))
    ]

    found = json.loads(as_json.out)
    assert [(scope["region"], scope["state"]) for scope in found["scopes"]] == [
        ("eu-west-1", "compared"),
        ("us-east-1", "first_reading"),
    ]
    assert found["changes"] == [json.loads(lines.out)]
    assert found["changes"][0] == {
        "snapshot_id": "01K00000000000000000000002",
        "account_id": "111122223333",
        "region": "eu-west-1",
        "kind": "changed",
        "table_name": "functions",
        "key": "f/$LATEST",
        "column_name": "memory_size",
        "old_value": "1",
        "new_value": "2",
        "previous_snapshot_id": "01K00000000000000000000001",
    }
    assert lines.err.startswith("lexport: not compared: 111122223333 us-east-1, first read whole in")
    assert none.out.splitlines() == [
        "not compared: 111122223333 eu-west-1, not read since 01K00000000000000000000002",
        "not compared: 111122223333 us-east-1, not read since 01K00000000000000000000002",
    ]


async def test_nothing_to_compare_is_said(tmp_path, write_dataset, run_lexport):
    """Where only lists of functions were read, diff and feed say so instead of showing nothing."""
    write_dataset(tmp_path / "fleet", [{"at": AT, "scopes": [{"coverage": "selection"}]}])
    compared, fed = await run_lexport("diff", "fleet"), await run_lexport("feed", "fleet")

    assert (compared.code, compared.out) == (0, "")
    assert compared.err == "lexport: nothing to compare: no account-region has a whole reading by then\n"
    assert fed.code == 0
    assert "no account-region was ever read whole, so the feed has no rows of the fleet" in fed.err
