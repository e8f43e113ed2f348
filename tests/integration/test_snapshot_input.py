"""Bad input gets one clear line and the right exit code; help is quick; without a terminal there are plain lines."""

import socket
import time

import anyio
import pytest
from aiohttp import web

from lexport.simulator import Fault

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def one_line(done, code, *texts):
    """Assert an exit code and one line on stderr that holds the texts."""
    assert (code, "") == (done.code, done.out), done.err
    assert len(done.err.splitlines()) == 1, done.err
    for text in texts:
        assert text in done.err


# --- nothing is asked of AWS ----------------------------------------------------------------------------------------

WRONG_OPTIONS = {
    "share above 1": (["--quota-share", "1.5"], "--quota-share must be above 0 and at most 1, not 1.5"),
    "share 0": (["--quota-share", "0"], "--quota-share must be above 0"),
    "no number": (["--quota-share", "half"], "'half' is not a number"),
    "rate 0": (["--list-rate", "0"], "--list-rate is a number of calls per second above 0"),
    "rate nan": (["--get-function-rate", "nan"], "--get-function-rate is a number"),
    "region and all": (["--region", "all", "--region", "us-east-1"], "--region is `all` or a list"),
    "endpoint": (["--endpoint-url", "localhost:4566"], "--endpoint-url begins with https:// or http://"),
    "unknown option": (["--regoin", "us-east-1"], "there is no option --regoin; did you mean --region?"),
    "part of an id": (["--resume", "01K0"], "01K0 is not the whole id of a run"),
    "qualifiers": (["--qualifiers", "none"], "'none' is not one of"),
    "function": (["--function", "a b"], "--function: 'a b' is no function name"),
    "no file": (["--functions-from", "nope.txt"], "--functions-from nope.txt: No such file or directory"),
    "folder": (["--functions-from", "/"], "--functions-from /: Is a directory"),
    "key file": (["--hash-key-file", "nope.key"], "cannot read the hash key nope.key: No such file or directory"),
}


@pytest.mark.parametrize("what", WRONG_OPTIONS)
async def test_wrong_option(simulator, run_lexport, what):
    """A wrong option is one line and exit code 2, before any call."""
    arguments, text = WRONG_OPTIONS[what]
    async with simulator() as aws:
        done = await run_lexport(
            *("snapshot", "fleet", "--endpoint-url", aws.url, "--region", "us-east-1", *arguments),
            LEXPORT_HASH_KEY=None,
        )

    one_line(done, 2, text)
    assert aws.calls == {}


async def test_dest_behind_resume(run_lexport):
    """A DEST that is taken for the run to resume is named, with what to do."""
    one_line(
        await run_lexport("snapshot", "--resume", "s3://b/fleet"), 2, "s3://b/fleet is", "write DEST before --resume"
    )


@pytest.mark.parametrize(
    "content", [b"good\n\nnot good\n", b"function_name\ngood\nnot good\n", b"a,b,c\n", b"\xff\n", b"# none\n"]
)
async def test_bad_list(simulator, run_lexport, flags, tmp_path, content):
    """A bad line of a list names file, line and reason, before any call."""
    where, text = {
        b"good\n\nnot good\n": ("list.csv:3: ", "'not good' is no function name"),
        b"function_name\ngood\nnot good\n": ("list.csv:3: ", "'not good' is no function name"),
        b"a,b,c\n": ("list.csv:1: ", "3 columns without a header line"),
        b"\xff\n": ("list.csv: ", "is not UTF-8 text"),
        b"# none\n": ("list.csv: ", "names no function"),
    }[content]
    (tmp_path / "list.csv").write_bytes(content)
    async with simulator() as aws:
        done = await run_lexport("snapshot", "fleet", *flags(aws.url), "--functions-from", "list.csv")

    one_line(done, 2, where, text)
    assert aws.calls == {}


@pytest.mark.parametrize("what", ["file", "other", "proc", "below a file", "bucket"])
async def test_bad_destination(simulator, run_lexport, flags, tmp_path, what):
    """A destination that cannot hold a dataset is an error before any call, and is unchanged."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    dest, text = {
        "file": (tmp_path / "file", "is a file, not a folder"),
        "other": (tmp_path / "other", "holds something else (thesis.txt)"),
        "proc": ("/proc/fleet", "cannot be written"),
        "below a file": (tmp_path / "file" / "fleet", "cannot be written"),
        "bucket": ("s3://bucket//fleet", "two slashes follow one another in it"),
    }[what]
    async with simulator() as aws:
        done = await run_lexport("snapshot", dest, *flags(aws.url))

    one_line(done, 2, text, str(dest))
    assert aws.calls == {}
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.txt"]


async def test_config_file(simulator, run_lexport, flags, look, tmp_path):
    """lexport.toml gives defaults that variables and flags override; an unknown key names file and key."""
    (tmp_path / "lexport.toml").write_text('[snapshot]\nenv = "none"\naliases = false\nregion = ["us-east-1"]\n')
    async with simulator() as aws:
        fine = await run_lexport("snapshot", "a", "--endpoint-url", aws.url, "--list-rate", "1000")
        stronger = await run_lexport(
            "snapshot", "b", "--endpoint-url", aws.url, "--list-rate", "1000", LEXPORT_ENV="values", LEXPORT_ALIASES="1"
        )
        aws.calls.clear()
        (tmp_path / "lexport.toml").write_text("[snapshot]\nregoin = 1\n")
        unknown = await run_lexport("snapshot", "c", *flags(aws.url))
        (tmp_path / "lexport.toml").write_text("[snap]\n")
        no_command = await run_lexport("snapshot", "c", *flags(aws.url))
        (tmp_path / "lexport.toml").write_text("[snapshot\n")
        no_toml = await run_lexport("snapshot", "c", *flags(aws.url))

    assert fine.code == 0, fine.err
    assert stronger.code == 0, stronger.err
    rows = look.read_rows(tmp_path / "a")
    assert not {"env_vars", "aliases"} & {*rows}
    rows = look.read_rows(tmp_path / "b")
    assert rows["env_vars"][0]["value"]
    assert rows["aliases"]
    one_line(unknown, 2, "lexport.toml: [snapshot] has no option regoin")
    one_line(no_command, 2, "lexport.toml: [snap] is no command")
    one_line(no_toml, 2, "lexport.toml: ")
    assert aws.calls == {}


async def test_unknown_command(run_lexport):
    """The errors for an unknown command and a missing argument name the help."""
    one_line(
        await run_lexport("snapshoot"), 2, "there is no command 'snapshoot'; did you mean snapshot?", "lexport --help"
    )
    one_line(await run_lexport("snapshot"), 2, "Missing argument 'DEST'", "lexport snapshot --help")


async def test_no_region(simulator, run_lexport):
    """No Region anywhere is wrong use; AWS_REGION is one."""
    async with simulator() as aws:
        none = await run_lexport("snapshot", "a", "--endpoint-url", aws.url)
        unknown = await run_lexport("snapshot", "b", "--endpoint-url", aws.url, "--region", "us-eest-1")
        assert aws.calls == {}
        variable = await run_lexport("snapshot", "c", "--endpoint-url", aws.url, AWS_REGION="us-east-1")

    one_line(none, 2, "no Region: give --region, set AWS_REGION, or choose a profile that has one")
    one_line(unknown, 2, "'us-eest-1' is not a Region of AWS Lambda", "us-east-1?")
    assert variable.code == 0, variable.err


# --- credentials ----------------------------------------------------------------------------------------------------


async def test_no_credentials(simulator, run_lexport, flags, tmp_path):
    """Without credentials, the exit code is 5, and the error names what to set."""
    async with simulator() as aws:
        done = await run_lexport(
            "snapshot", "fleet", *flags(aws.url), AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None
        )

    one_line(done, 5, "Unable to locate credentials", "AWS_PROFILE")
    assert aws.calls == {}
    assert list((tmp_path / "fleet" / "_staging").iterdir()) == []


async def test_no_profile(simulator, run_lexport, flags):
    """A profile that is not there is wrong use."""
    async with simulator() as aws:
        done = await run_lexport("snapshot", "fleet", *flags(aws.url), "--profile", "nope")

    one_line(done, 2, "nope", "aws configure list-profiles")


async def test_expired_token(simulator, run_lexport, flags):
    """Credentials that are expired from the start: exit 5."""
    async with simulator(Fault(operation="GetCallerIdentity", kind="expired_token", times=None)) as aws:
        done = await run_lexport("snapshot", "fleet", *flags(aws.url))

    one_line(done, 5, "answered with ExpiredToken", "renew the credentials")


async def test_wrong_secret(simulator, run_lexport, flags):
    """A wrong secret key: exit 5, and the key is not in the line."""
    async with simulator() as aws:
        done = await run_lexport("snapshot", "fleet", *flags(aws.url), AWS_SECRET_ACCESS_KEY="wrong-secret")

    one_line(done, 5, "answered with SignatureDoesNotMatch", "renew the credentials")
    assert "wrong-secret" not in done.err


# --- the other end --------------------------------------------------------------------------------------------------


async def test_refused_connection(run_lexport, flags, tmp_path):
    """An endpoint that refuses connections is an error within seconds; no file remains."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        began = time.monotonic()
        done = await run_lexport("snapshot", "fleet", *flags(url))

    assert time.monotonic() - began < 30
    one_line(done, 1, "cannot reach " + url.removeprefix("http://"))
    assert list((tmp_path / "fleet" / "_staging").iterdir()) == []


async def test_endpoint_that_is_no_aws(run_lexport, flags):
    """If an endpoint responds with HTML to every request, the error says so."""

    async def page(_request):
        return web.Response(text="<html><title>Welcome to nginx!</title></html>", content_type="text/html")

    runner = web.ServerRunner(web.Server(page), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        done = await run_lexport("snapshot", "fleet", *flags(f"http://127.0.0.1:{runner.addresses[0][1]}"))
    finally:
        await runner.cleanup()

    one_line(done, 1, "the response is no JSON object but an HTML page", "a wrong --endpoint-url may")


async def test_lambda_alone(simulator, run_lexport, flags, look):
    """If STS returns no account, the account comes from the first ARN, and a note says so."""
    fault = Fault(operation="GetCallerIdentity", kind="error", status=400, code="InvalidAction", times=None)
    async with simulator(fault) as aws:
        done = await run_lexport("snapshot", "fleet", *flags(aws.url))

    assert done.code == 0, done.err
    assert "note: STS did not return the caller's account" in done.err
    assert f"note: the account is {look.account} by the first function's ARN" in done.err


async def test_no_account(simulator, run_lexport, flags):
    """Without STS and without a function, the account is unknown: exit 5; AWS_ACCOUNT_ID can set it."""
    fault = Fault(operation="GetCallerIdentity", kind="error", status=400, code="InvalidAction", times=None)
    async with simulator(fault, functions=0) as aws:
        done = await run_lexport("snapshot", "a", *flags(aws.url))
        told = await run_lexport("snapshot", "b", *flags(aws.url), AWS_ACCOUNT_ID="111122223333")

    one_line(done, 5, "allow sts:GetCallerIdentity or set AWS_ACCOUNT_ID")
    assert told.code == 0, told.err


async def test_same_id(simulator, aws, settings, look, tmp_path):
    """A snapshot id that is already published is a conflict before any call; no file changes."""
    import lexport
    from lexport.errors import PublishError

    made = "01M81H1PGWH8PGY18TP6MB2GP2"
    async with simulator() as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, snapshot_id=made))
        before = look.tree(tmp_path / "fleet")
        server.calls.clear()
        with pytest.raises(PublishError, match="already") as caught:
            await lexport.snapshot(tmp_path / "fleet", settings(server.url, snapshot_id=made))

    assert caught.value.exit_code == 6
    assert server.calls == {}
    assert before == look.tree(tmp_path / "fleet")


# --- help and talk --------------------------------------------------------------------------------------------------

HEAVY = "aiobotocore|botocore|aiohttp|httptools|pyarrow|msgspec|duckdb|rich|anyio"


@pytest.mark.parametrize("arguments", ["--help", "--version", "snapshot --help", "sql --help", "simulate --help"])
async def test_help_is_light(environment, arguments):
    """Help and version import nothing heavy."""
    import sys

    program = (
        "import sys\nfrom lexport.cli.main import run\n"
        f"code = run({arguments.split()!r})\n"
        f"print(sorted({set(HEAVY.split('|'))!r} & set(sys.modules)), file=sys.stderr)\nsys.exit(code)"
    )
    done = await anyio.run_process([sys.executable, "-c", program], env=environment, check=False)

    assert (done.returncode, done.stderr) == (0, b"[]\n")
    assert done.stdout


async def test_help_of_every_command(run_lexport):
    """Every command that --help lists has help of its own; the version is the package's."""
    from lexport.cli._commands import COMMANDS
    from lexport.model import __version__

    listed = (await run_lexport("--help")).out
    for name in COMMANDS:
        done = await run_lexport(name, "--help")
        assert (done.code, done.err) == (0, ""), name
        assert f"Usage: lexport {name} " in done.out
        assert f"\n  {name} " in listed
    assert (await run_lexport("--version")).out.startswith(f"lexport, version {__version__}\n")


async def test_summary(simulator, run_lexport, flags, tmp_path):
    """Without a terminal, a run prints plain lines to stderr: counts, calls, throttles and gaps with their causes."""
    faults = [
        Fault(operation="GetFunction", kind="throttle", times=3, retry_after_s=0),
        Fault(operation="ListAliases", kind="denied", times=2),
    ]
    async with simulator(*faults, functions=4, versions=1) as aws:
        done = await run_lexport("snapshot", "fleet", *flags(aws.url), "--allow-partial")

    assert (done.code, done.out) == (3, ""), done.err
    assert "\x1b" not in done.err
    scope, missing, verdict = done.err.splitlines()
    assert scope.startswith("111122223333 us-east-1: partial, 4 functions, 8 versions, ")
    assert scope.endswith("; 11 GetFunction and 10 List* calls, 3 throttled")
    assert missing.startswith("missing: 2 x AccessDeniedException in ListAliases, 111122223333 us-east-1, e.g. ")
    assert "is not authorized to perform: lambda:ListAliases" in missing
    assert verdict.startswith("snapshot 01")
    assert "published, partial: 4 functions, 8 versions in " in verdict
