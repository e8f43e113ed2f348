"""``lexport init`` finds out what a snapshot needs and writes a lexport.toml that lexport accepts, or nothing."""

from __future__ import annotations

import json
import re
import signal
import socket
import tomllib

import anyio
import pytest

from lexport.cli._commands import all_commands
from lexport.cli._config import read_config
from lexport.simulator import Fault, known_regions

pytestmark = pytest.mark.slow

CANARY = "canaryCANARYcanaryCANARYcanaryCANARYcana"
REGION = ("--region", "us-east-1")
FULL = ("eu-west-1", "us-east-1")
ELSEWHERE = [name for name in (*known_regions.BY_DEFAULT, *known_regions.OPT_IN) if name not in FULL]
EMPTY = [
    Fault(operation="ListFunctions", kind="replace_body", region=name, times=None, patch={"Functions": []})
    for name in ELSEWHERE
]


def test_the_file_has_what_was_found_and_is_accepted(forks, serve, monkeypatch):
    """The Regions with functions are found and nothing is asked; each commented option, too, is one of lexport."""
    aws = serve(*EMPTY)
    done = forks.run("init", "fleet", AWS_ENDPOINT_URL=aws.url)
    path = forks.folder / "lexport.toml"
    written = path.read_text()
    whole = re.sub(r"^# (?=\[|[a-z-]+ = )", "", written, flags=re.MULTILINE)

    assert (done.code, tomllib.loads(written)["snapshot"]) == (0, {"region": "eu-west-1,us-east-1"})
    assert "next: lexport plan, lexport snapshot fleet" in done.err
    assert not (forks.folder / "fleet").exists()
    assert forks.run("snapshot", "fleet", AWS_ENDPOINT_URL=aws.url).code == 0
    assert forks.run("doctor", "fleet", AWS_ENDPOINT_URL=aws.url).code == 0
    assert len(tomllib.loads(whole)["snapshot"]) > 12
    path.write_text(whole)
    monkeypatch.chdir(forks.folder)
    assert {"snapshot", "status", "check", "report"} <= read_config(all_commands).keys()


def test_what_is_given_is_kept_and_secrets_are_not(forks, serve):
    """Options become lines of each command that has them; an external id, a key and a token are in no file."""
    accounts = tuple(str(111122223333 + number) for number in range(3))
    aws = serve(accounts=accounts, external_id=CANARY)
    flags = (
        "--region",
        ",".join(FULL),
        "--account-role",
        "lexport-reader",
        "--organization",
        "--exclude-account",
        accounts[2],
    )
    given = ("--external-id", CANARY, "--no-aliases", "--dest-timeout", "5s", "--quota-share", "0.5")
    done = forks.run("init", *flags, *given, AWS_ENDPOINT_URL=aws.url)
    written = (forks.folder / "lexport.toml").read_text()
    tables = tomllib.loads(written)

    assert done.code == 0
    assert tables["snapshot"] == {
        "region": "eu-west-1,us-east-1",
        "account-role": "lexport-reader",
        "organization": True,
        "exclude-account": [accounts[2]],
        "aliases": False,
        "quota-share": 0.5,
        "dest-timeout": "5s",
    }
    assert tables["plan"]["organization"] is True
    assert CANARY not in written + done.out + done.err
    assert forks.run("plan", "--external-id", CANARY, AWS_ENDPOINT_URL=aws.url).code == 0


def test_a_file_that_is_there_is_never_changed(forks, serve):
    """A file, even a broken one, and a link that leads nowhere stay as they are: exit 2, and not one call."""
    aws = serve()
    path = forks.folder / "lexport.toml"
    path.write_text("[nonsense\n")
    done = forks.run("init", AWS_ENDPOINT_URL=aws.url)
    assert (done.code, path.read_text(), str(path) in done.last) == (2, "[nonsense\n", True)
    path.unlink()
    path.symlink_to("elsewhere.toml")
    done = forks.run("init", AWS_ENDPOINT_URL=aws.url)
    assert (done.code, str(path) in done.last, (forks.folder / "elsewhere.toml").exists()) == (2, True, False)
    assert not aws.calls


def test_where_nothing_may_be_read_nothing_is_written(forks, serve):
    """Denied everywhere is 5 with the policy, no credentials is 5, and a closed port is 1."""
    aws = serve(Fault(operation="ListFunctions", kind="denied", times=None))
    done = forks.run("init", *REGION, AWS_ENDPOINT_URL=aws.url)
    policy = json.loads(done.out.partition("This policy is missing:\n")[2])
    assert (done.code, policy["Statement"][0]["Action"]) == (5, ["lambda:ListFunctions"])
    assert "attach the policy above" in done.last
    done = forks.run("init", AWS_ENDPOINT_URL=aws.url, AWS_SECRET_ACCESS_KEY=CANARY)
    assert (done.code, CANARY in done.out + done.err) == (5, False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        done = forks.run("init", AWS_ENDPOINT_URL=f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert (done.code, "not written" in done.last) == (1, True)
    assert not (forks.folder / "lexport.toml").exists()


def test_a_permission_that_is_missing_is_named_and_the_file_is_written(forks, serve):
    """What may be listed is enough for the file; the policy has the rest."""
    aws = serve(Fault(operation="ListAliases", kind="denied", times=None))
    done = forks.run("init", *REGION, AWS_ENDPOINT_URL=aws.url)
    policy = json.loads(done.out.partition("This policy is missing:\n")[2])

    assert (done.code, policy["Statement"][0]["Action"]) == (0, ["lambda:ListAliases"])
    assert "attach the policy above" in done.err
    assert (forks.folder / "lexport.toml").is_file()


@pytest.mark.asyncio
async def test_an_interrupt_leaves_nothing(start_lexport, environment, tmp_path):
    """Ctrl-C while AWS is asked ends the command with 130, and there is no file."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with start_lexport("init", "--region", "us-east-1") as process:
            connection, _ = await anyio.to_thread.run_sync(silent.accept)
            with connection:
                process.send_signal(signal.SIGINT)
                await process.wait()

    assert process.returncode == 130
    assert not (tmp_path / "lexport.toml").exists()
