"""Shells complete commands, options and names, and ``--version`` names what a report of an error needs."""

import re
import sys
import sysconfig
from pathlib import Path

import anyio
import pexpect
import pytest

from lexport.model import __version__

SCRIPTS = Path(sysconfig.get_path("scripts"))
HEAVY = ("aiobotocore", "aiohttp", "anyio", "botocore", "duckdb", "msgspec", "prompt_toolkit", "pyarrow", "rich")
RUN, OLDER, UNFINISHED = (f"01M81H{night}PGWH8PGY18TP6MB2GP2" for night in "321")

WORDS = (  # the words before the cursor, and what must be among the words that continue the last, and what must not
    ("sna", {"snapshot"}, {"sql"}),
    ("", {"snapshot", "sql", "iam-policy"}, {"--help"}),
    ("--ver", {"--version"}, set()),
    ("shard re", {"read"}, {"plan"}),
    ("snapshot --reg", {"--region"}, {"--resume"}),
    ("snapshot fleet --env ", {"keys", "values", "none"}, set()),
    ("sql --print deprecated", {"deprecated_runtimes"}, {"runtimes"}),
    ("sql fleet alias", {"aliases", "alias_routes", "alias_lag"}, {"functions"}),
    ("schema --table alias", {"aliases", "alias_routes"}, {"alias_lag"}),
    ("check fleet --check old", {"old_layer_version"}, {"suspected_secret"}),
    ("check fleet --checks own --skip own", {"own_rule"}, set()),
    ("sql fleet --as-of 01", {RUN, OLDER}, {UNFINISHED, "01notes"}),
    ("diff fleet ", {RUN, OLDER}, {UNFINISHED}),
    ("diff fleet 01M81H2PGWH8PGY18TP6MB2GP2 ", {RUN}, set()),
    ("feed fleet --since 01M81H2", {OLDER}, {RUN}),
    ("prune fleet --snapshot ", {RUN}, {UNFINISHED}),
    ("snapshot fleet --resume ", {UNFINISHED}, {RUN}),
    ("shard commit fleet ", {UNFINISHED}, {RUN}),
    ("snapshot --exclude-account ", set(), {RUN}),
    ("sql s3://bucket/fleet --as-of ", set(), {RUN}),
    ("sql nowhere --as-of ", set(), {RUN}),
    ("nonsense ", set(), {"--region"}),
)


@pytest.fixture
def folder(tmp_path):
    """A folder with the names of two snapshots, a run that was not published, and a check; nothing else is read."""
    for name in (f"_runs/{RUN}.json", f"_runs/{OLDER}.json", "_runs/01notes.json", f"_staging/{UNFINISHED}/run.json"):
        path = tmp_path / "fleet" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "fleet/_staging" / RUN).mkdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "own/own_rule.sql").touch()
    return tmp_path


@pytest.mark.asyncio
@pytest.mark.parametrize(("words", "expected", "others"), WORDS)
async def test_words(run_lexport, folder, words, expected, others):
    """The words that can follow are offered, and no others; wrong words before them print no error."""
    line = f"lexport {words}"
    done = await run_lexport(
        cwd=folder, _LEXPORT_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(line.split(" ")) - 1)
    )
    offered = {line.partition(",")[2] for line in done.out.splitlines()}

    assert done.err == ""
    assert expected <= offered
    assert not others & offered


@pytest.mark.asyncio
async def test_help_of_words_and_kinds_of_paths(run_lexport, tmp_path):
    """zsh and fish show what a command does; DEST completes folders and FILE files."""
    listed = await run_lexport(_LEXPORT_COMPLETE="fish_complete", COMP_WORDS="lexport", COMP_CWORD="stat")
    dest = await run_lexport(_LEXPORT_COMPLETE="bash_complete", COMP_WORDS="lexport sql fl", COMP_CWORD="2")
    file = await run_lexport(_LEXPORT_COMPLETE="bash_complete", COMP_WORDS="lexport views x --db a", COMP_CWORD="4")

    assert "List the snapshots" in listed.out
    assert (dest.out, file.out) == ("dir,fl\n", "file,a\n")


@pytest.mark.asyncio
async def test_words_that_cannot_be_read(environment, run_lexport):
    """Words that are missing or no UTF-8 are completed with nothing, and no message is written into what is typed."""
    environment["_LEXPORT_COMPLETE"] = "bash_complete"
    missing = await run_lexport()
    environment |= {"COMP_WORDS": "lexport sql fleet\udcff", "COMP_CWORD": "2"}
    damaged = await run_lexport()

    assert (missing.code, missing.out, missing.err) == (1, "", "")
    assert (damaged.code, damaged.out, damaged.err) == (1, "", "")


@pytest.mark.asyncio
async def test_completion_is_light(environment, folder):
    """Completion imports nothing heavy, so a word takes as long as Python takes to start."""
    program = (
        "import sys\nfrom lexport.cli.main import run\nrun()\n"
        f"print(sorted({set(HEAVY)!r} & set(sys.modules)), file=sys.stderr)"
    )
    for words in ("sna", "snapshot --re", "sql --print run", "sql fleet --as-of 01", "schema --table al"):
        asked = {
            "_LEXPORT_COMPLETE": "bash_complete",
            "COMP_WORDS": f"lexport {words}",
            "COMP_CWORD": str(len(words.split())),
        }
        done = await anyio.run_process(
            [sys.executable, "-c", program], env=environment | asked, cwd=folder, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"[]\n"), words
        assert done.stdout, words


SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$(_LEXPORT_COMPLETE=bash_source lexport)"'),
    "zsh": (["-f", "-i"], 'autoload -Uz compinit; compinit -u; eval "$(_LEXPORT_COMPLETE=zsh_source lexport)"'),
    "fish": (["--no-config", "-i"], "_LEXPORT_COMPLETE=fish_source lexport | source"),
}


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_in_a_shell(environment, folder, need_program, shell):
    """After the README's line, Tab completes a command, an option, and the id of a snapshot in a real shell."""
    arguments, line = SHELLS[shell]
    environment |= {"PATH": f"{SCRIPTS}:/usr/bin:/bin", "TERM": "xterm", "PS1": "READY> ", "HOME": str(folder)}
    with pexpect.spawn(
        need_program(shell, package=shell),
        arguments,
        env=environment,
        cwd=str(folder),
        dimensions=(40, 200),
        timeout=30,
    ) as terminal:
        terminal.sendline(f"{line}; echo INSTALL''ED")
        terminal.expect("INSTALLED")
        terminal.send("lexport sna\t")
        terminal.expect("snapshot")
        terminal.send(" --incr\t")
        terminal.expect("--incremental")
        terminal.send(f"\x15lexport sql fleet --as-of {RUN[:7]}\t")
        terminal.expect(RUN)
        terminal.send("\x15exit\r")


@pytest.mark.asyncio
async def test_version(run_lexport):
    """The version of lexport stands alone on the first line; those of Python and the libraries follow."""
    done = await run_lexport("--version")
    lines = done.out.splitlines()

    assert (done.code, done.err) == (0, "")
    assert lines[0] == f"lexport, version {__version__}"
    assert lines[1].startswith(f"CPython {sys.version.split()[0]} on ")
    assert {"botocore", "duckdb", "pyarrow", "obstore"} <= {line.split()[0] for line in lines[2:]}
    assert all(re.fullmatch(r"[a-z-]+ (\d[\w.]*|is not installed)", line) for line in lines[2:])


@pytest.mark.asyncio
async def test_typing_errors(run_lexport):
    """A command or option with a typing error gets a suggestion, exit 2."""
    for words, meant in (
        (["snapsot"], "snapshot"),
        (["shard", "comit"], "commit"),
        (["sql", "--pritn", "x"], "--print"),
    ):
        done = await run_lexport(*words)
        assert done.code == 2
        assert meant in done.err, words
