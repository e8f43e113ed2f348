"""``lexport doctor`` says of each thing that a snapshot needs whether it is right, and changes nothing."""

from __future__ import annotations

import json
import socket
import threading

import pytest
from tiny_s3 import open_tiny_s3, refuse

from lexport.simulator import Fault

pytestmark = pytest.mark.slow

CANARY = "canaryCANARYcanaryCANARYcanaryCANARYcana"
HUB = "111122223333"
REGION = ("--region", "us-east-1")


@pytest.fixture
def examine(forks):
    """Run the command and return its exit code with level, outcome and message of each subject."""

    def run(*arguments, url=None, **variables):
        if url is not None:
            variables["AWS_ENDPOINT_URL"] = url
        done = forks.run("doctor", *arguments, "--output", "json", **variables)
        assert "Traceback" not in done.err
        found = {}
        for row in json.loads(done.out):
            found[row["subject"]] = row
        return done.code, found

    return run


def state(found, *subjects):
    return [(found[subject]["level"], found[subject]["outcome"]) for subject in subjects]


def wrong(found):
    return {subject: row["outcome"] for subject, row in found.items() if row["level"] == "error"}


def test_all_is_well_and_nothing_is_left(forks, examine, serve):
    """Everything is ok, before and after the first snapshot, each call is made once, and DEST stays as it was."""
    aws = serve()
    code, before = examine("fleet", *REGION, url=aws.url)
    calls = {operation: count for (_, _, operation), count in aws.calls.items()}
    is_made = (forks.folder / "fleet").exists() or (forks.folder / "state").exists()
    assert forks.run("snapshot", "fleet", *REGION, AWS_ENDPOINT_URL=aws.url).code == 0
    files = sorted(forks.folder.joinpath("fleet").rglob("*"))
    code_after, after = examine("fleet", *REGION, url=aws.url)
    text = forks.run("doctor", "fleet", *REGION, AWS_ENDPOINT_URL=aws.url)

    assert (code, code_after, is_made) == (0, 0, False)
    assert {row["level"] for row in (*before.values(), *after.values())} == {"ok"}
    assert before["DEST"]["outcome"] == "absent"
    assert "that of the last snapshot" in after["hash key"]["message"]
    assert calls == {
        "GetCallerIdentity": 2,
        "ListFunctions": 1,
        "GetFunction": 1,
        "ListVersionsByFunction": 1,
        "ListAliases": 1,
        "GetAccountSettings": 1,
        "ListCodeSigningConfigs": 1,
        "ListFunctionsByCodeSigningConfig": 1,
        "ListEventSourceMappings": 1,
    }
    assert sorted(forks.folder.joinpath("fleet").rglob("*")) == files
    assert all(line.startswith("ok ") for line in text.out.splitlines())
    assert "testing" not in text.out.replace("user/testing", "")


@pytest.mark.parametrize(
    ("operation", "action", "level", "code"),
    [
        ("ListFunctions", "lambda:ListFunctions", "error", 5),
        ("GetFunction", "lambda:GetFunction", "error", 5),
        ("ListAliases", "lambda:ListAliases", "error", 5),
        ("ListVersionsByFunction", "lambda:ListVersionsByFunction", "warning", 0),
        ("GetAccountSettings", "lambda:GetAccountSettings", "warning", 0),
    ],
)
def test_what_is_denied_is_named_with_its_permission(forks, serve, operation, action, level, code):
    """One call that is denied is one line, and the policy that is missing has its permission and no other."""
    aws = serve(Fault(operation=operation, kind="denied", times=None))
    text = forks.run("doctor", *REGION, AWS_ENDPOINT_URL=aws.url)
    lines, _, policy = text.out.partition("\nThis policy is missing:\n")
    (line,) = (line for line in lines.splitlines() if not line.startswith("ok "))

    assert text.code == code
    assert line.split()[:2] == [level, operation]
    assert "AccessDenied" in line
    assert [statement["Action"] for statement in json.loads(policy)["Statement"]] == [[action]]


def test_denied_unreachable_and_empty_are_three_things(examine, serve):
    """A Region without functions is empty, and a call that hangs or fails is no denial."""
    empty = serve(functions=0)
    denied = serve(Fault(operation="GetFunction", kind="denied", times=None), functions=0)
    failing = serve(Fault(operation="ListFunctions", kind="error", times=None))

    code, found = examine(*REGION, url=empty.url)
    assert (code, state(found, "ListFunctions", "GetFunction")) == (0, [("warning", "empty"), ("ok", "ok")])
    code, found = examine(*REGION, url=denied.url)
    assert (code, state(found, "GetFunction", "ListAliases")) == (5, [("error", "denied"), ("ok", "ok")])
    code, found = examine(*REGION, url=failing.url)
    assert (code, state(found, "ListFunctions")) == (1, [("error", "failed")])


def test_wrong_credentials_are_named_and_never_shown(forks, examine, serve):
    """Keys that are wrong, expired or absent end with 5; neither a key nor a token is printed."""
    aws = serve()
    expired = serve(Fault(operation="GetCallerIdentity", kind="expired_token", times=None))
    keys = {"AWS_SECRET_ACCESS_KEY": CANARY, "AWS_SESSION_TOKEN": CANARY}
    said = forks.run("doctor", *REGION, "-vv", AWS_ENDPOINT_URL=aws.url, **keys)

    assert (said.code, CANARY in said.out + said.err) == (5, False)
    code, found = examine(*REGION, url=aws.url, **keys)
    assert (code, wrong(found)) == (5, {"identity": "refused"})
    code, found = examine(*REGION, url=expired.url)
    assert (code, wrong(found)) == (5, {"identity": "refused"})
    code, found = examine(*REGION, url=aws.url, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert (code, wrong(found)) == (5, {"credentials": "refused"})
    assert found["network"]["level"] == found["clock"]["level"] == "ok"
    code, found = examine(*REGION, "--profile", "nobody", url=aws.url)
    assert (code, wrong(found)) == (5, {"credentials": "refused"})
    assert "nobody" in found["credentials"]["message"]


@pytest.mark.asyncio
async def test_the_network_is_told_apart(run_lexport):
    """A closed port and a server that never answers end soon, with 1; what does not depend on them is tried."""

    async def examine(url, waits="1"):
        flags = ("fleet", *REGION, "--output", "json", "--endpoint-url", url)
        done = await run_lexport("doctor", *flags, LEXPORT_TEST_WAITS=waits)
        return done.code, {row["subject"]: row for row in json.loads(done.out)}

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        hangs = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code, found = await examine(hangs, "0.05")
    assert (code, found["network"]["outcome"], found["DEST"]["outcome"]) == (1, "unreachable", "absent")
    code, found = await examine(hangs)
    assert (code, found["network"]["outcome"]) == (1, "unreachable")
    assert found["network"]["code"] == "connect_failed"
    assert state(found, "clock", "calls") == [("warning", "not_tried")] * 2


def test_settings_that_are_wrong_are_a_line(forks, examine, serve):
    """A wrong key in lexport.toml, a wrong value, no Region and an unknown one are findings; the rest is tried."""
    aws = serve()
    config = forks.folder / "lexport.toml"
    config.write_text('[snapshot]\nregoin = "us-east-1"\n')
    code, found = examine("fleet", *REGION, url=aws.url)
    assert (code, wrong(found), found["DEST"]["level"]) == (1, {"settings": "wrong"}, "ok")
    assert "did you mean region?" in found["settings"]["message"]
    config.write_text('[snapshot]\nregion = "us-east-1"\nquota-share = 7\n')
    assert wrong(examine("fleet", url=aws.url)[1]) == {"settings": "wrong"}
    config.write_text('[snapshot]\nregion = "us-east-1"\n')
    assert examine(url=aws.url)[0] == 0
    config.unlink()
    code, found = examine(url=aws.url)
    assert (code, wrong(found), found["identity"]["level"]) == (1, {"Regions": "wrong"}, "ok")
    code, found = examine("--region", "us-eats-1", url=aws.url)
    assert (code, wrong(found)) == (1, {"Regions": "wrong"})


def test_a_dest_that_cannot_be_used_is_said(forks, examine, serve):
    """A file, other content and a folder that may not be written are errors; another key is a warning."""
    aws = serve()
    (forks.folder / "file").write_text("text")
    (forks.folder / "other").mkdir()
    (forks.folder / "other" / "thesis.txt").write_text("text")
    assert wrong(examine("file", *REGION, url=aws.url)[1]) == {"DEST": "wrong"}
    assert wrong(examine("other", *REGION, url=aws.url)[1]) == {"DEST": "wrong"}
    assert wrong(examine("file/below", *REGION, url=aws.url)[1]) == {"DEST": "wrong"}
    (forks.folder / "loop").symlink_to("loop")
    assert "DEST" in wrong(examine("loop", *REGION, url=aws.url)[1])
    assert forks.run("snapshot", "fleet", *REGION, AWS_ENDPOINT_URL=aws.url).code == 0
    code, found = examine("fleet", *REGION, url=aws.url, LEXPORT_HASH_KEY="b3RoZXIga2V5IG9mIHNpeHRlZW4gYnl0ZXM=")
    assert (code, state(found, "hash key")) == (0, [("warning", "wrong")])
    code, found = examine("fleet", *REGION, url=aws.url, LEXPORT_HASH_KEY="nonsense")
    assert (code, wrong(found)) == (1, {"hash key": "wrong"})
    assert "nonsense" not in found["hash key"]["message"]


def test_an_organization_and_its_roles(forks, examine, serve):
    """Accounts are counted, some roles are assumed, and what is denied is named with the hub's permission."""
    accounts = tuple(str(111122223333 + number) for number in range(6))
    aws = serve(accounts=accounts, closed_accounts=(accounts[2],))
    flags = (*REGION, "--account-role", "lexport-reader", "--organization")
    code, found = examine(*flags, url=aws.url)
    assert (code, state(found, "organization", f"role in {accounts[1]}")) == (5, [("ok", "ok")] * 2)
    assert found[f"role in {accounts[2]}"]["actions"] == ["sts:AssumeRole"]
    text = forks.run("doctor", *flags, AWS_ENDPOINT_URL=aws.url)
    policy = json.loads(text.out.partition("This policy is missing:\n")[2])
    assert policy["Statement"][0]["Resource"] == "arn:aws:iam::*:role/lexport-reader"
    refused = serve(Fault(operation="ListAccounts", kind="denied", times=None), accounts=accounts)
    code, found = examine(*flags, url=refused.url)
    assert (code, wrong(found)) == (5, {"organization": "denied"})


def test_all_regions(examine, serve):
    """Where the lists of Regions are denied, that is a warning with both permissions, and the known ones are tried."""
    aws = serve(*(Fault(operation=name, kind="denied", times=None) for name in ("ListRegions", "DescribeRegions")))
    code, found = examine("--region", "all", url=aws.url)

    assert code == 0
    assert found["account:ListRegions"]["actions"] == ["account:ListRegions"]
    assert state(found, "ec2:DescribeRegions", "Regions") == [("warning", "denied"), ("warning", "failed")]


def test_an_unknown_region_is_the_reason_why_nothing_is_tried(examine, serve):
    """A Region that does not exist is an error of the Regions, and the calls are not tried because of it."""
    code, found = examine("--region", "us-eest-1", url=serve().url)

    assert (code, wrong(found)) == (1, {"Regions": "wrong"})
    assert found["calls"]["message"] == "not tried: a Region that is named is unknown"


def test_a_wrong_clock_is_an_error(forks, serve):
    """A server whose time is an hour away is an error about the clock, before a signature is refused."""
    answer = b"HTTP/1.1 403 Forbidden\r\nDate: Thu, 01 Jan 2015 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def respond():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=respond, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = forks.run("doctor", *REGION, "--output", "json", AWS_ENDPOINT_URL=url)
        server.shutdown(socket.SHUT_RDWR)
    clock = next(row for row in json.loads(done.out) if row["subject"] == "clock")

    assert (done.code, clock["level"], clock["outcome"]) == (1, "error", "clock")
    assert "days ahead of AWS's" in clock["message"]


def test_a_bucket_is_tried_and_nothing_stays(examine, serve):
    """An object is created under a condition and removed; a server that ignores it, and one that denies, are errors."""
    aws = serve()
    with open_tiny_s3() as bucket:
        found = {}
        for name in ("good", "careless", "denied"):
            bucket.ignores_conditions = name == "careless"
            bucket.faults["PUT"] = [refuse(403, "AccessDenied")] * 9 if name == "denied" else []
            found[name] = examine("s3://bucket/fleet", *REGION, url=aws.url, AWS_ENDPOINT_URL_S3=bucket.url)
            assert bucket.objects == {}
        absent = examine("s3://elsewhere/fleet", *REGION, url=aws.url, AWS_ENDPOINT_URL_S3="http://127.0.0.1:1")

    assert (found["good"][0], state(found["good"][1], "DEST")) == (0, [("ok", "ok")])
    assert (found["careless"][0], wrong(found["careless"][1])) == (1, {"DEST": "failed"})
    assert (found["denied"][0], wrong(found["denied"][1])) == (5, {"DEST": "denied"})
    assert (absent[0], state(absent[1], "hash key")) == (1, [("ok", "ok")])
