"""``lexport.toml`` and ``LEXPORT_…`` variables: accepted values, rejected values, and messages."""

import logging
import os

import click
import pytest

from lexport.cli._commands import COMMANDS, all_commands
from lexport.cli._config import as_given
from lexport.cli._options import known_variables
from lexport.cli.main import run
from lexport.errors import SettingsError

OPTIONS = {
    (name, option.opts[-1].removeprefix("--")): option
    for name, command in all_commands().items()
    for option in command.params
    if isinstance(option, click.Option)
}
WRONG = ["3", "2.5", "true", '"\\u0000"', '"no such thing"', "[]", "[[]]", "{}", "[3]", "[{}]", "1979-05-27", "inf"]


@pytest.fixture
def ask(monkeypatch, tmp_path, capsys):
    """Run a command in an empty folder beside this lexport.toml; return its exit code and standard error."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LEXPORT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(logging, "lastResort", logging.lastResort)

    def lexport(toml, *arguments):
        if toml is not None:
            (tmp_path / "lexport.toml").write_bytes(toml if isinstance(toml, bytes) else toml.encode())
        code = run(arguments)
        return code, capsys.readouterr().err

    return lexport


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[status]\nmax-age = 3", '[status] max-age: 3 is not a duration; write it like "26h"'),
        ("[status]\nmax_age = true", "[status] max_age: true is neither text nor a number"),
        ("[snapshot]\nrefresh-after = 7", "[snapshot] refresh-after: 7 is not a duration"),
        ("[snapshot]\nmax-package-size = -1", "[snapshot] max-package-size: -1 is not a size"),
        ("[snapshot]\nmax-package-size = 2000000000000000000", "is too large a size"),
        ('[snapshot]\nprofile = ["a"]', "[snapshot] profile: a list is neither text nor a number"),
        ("[snapshot]\nregion = [1]", "[snapshot] region: 1 is a number"),
        ("[snapshot]\nquota-share = true", "[snapshot] quota-share: true is neither text nor a number"),
        ('[snapshot]\nlist-rate = "fast"', "[snapshot] list-rate: 'fast' is not a number"),
        ("[snapshot]\nincremental = 1", "[snapshot] incremental: 1 is neither true nor false"),
        ('[snapshot]\nincremental = "yes"', '[snapshot] incremental: "yes" is neither true nor false'),
        (
            "[report]\noutput-file = 3",
            "[report] output-file: 3 is a number; if it is meant as text, write it in quotes",
        ),
        ("[views]\ndb = 3", "[views] db: 3 is a number"),
        ('[views]\ndb = "a\\u0000b"', "[views] db: holds a NUL character"),
        ('[sql]\noutput = "xml"', "[sql] output: 'xml' is not one of"),
        ("[sql]\noutput = 3", "[sql] output: '3' is not one of"),
        ('[sql]\noutptu = "csv"', "[sql] has no option outptu; did you mean output?"),
        ("[simulate]\nport = 65536", "[simulate] port: 65536 is not in the range"),
        ("[sqll]\n", "[sqll] is no command; did you mean sql?"),
        ("[nightly]\n", "[nightly] is no command; the commands are: snapshot, "),
        (
            'region = "us-east-1"',
            "region stands above all tables; write it below the table of a command, for example [snapshot]",
        ),
        (
            'max-age = "1h"',
            "max-age stands above all tables; write it below the table of a command, for example [status]",
        ),
        ("sql = 3", "sql: write it as a table"),
        ("[sql", "at end of document"),
        (b"[sql]\n# \xff", "is not UTF-8 text"),
        (b"\xff\xfe[\0s\0q\0l\0]\0", "is not UTF-8 text"),
        ("a = " + "[" * 5000, "lexport.toml: "),
        ("#" * (2**20 + 1), "is larger than 1 MiB"),
        ("[check.thresholds]\nx = 1", "lexport.toml: "),
        ("[check]\nthresholds = 1", "lexport.toml: "),
        ("[check]\nwaivers = 1", "lexport.toml: "),
    ],
)
def test_refused(ask, toml, said):
    """A value that the option rejects is one line with file, table and key, and exit code 2, for every command."""
    code, err = ask(toml, *(["check", "x", "--list"] if "check" in str(toml) else ["schema", "--table", "tags"]))

    assert (code, len(err.splitlines())) == (2, 1)
    assert err.startswith("lexport: lexport.toml: ")
    assert said in err


@pytest.mark.parametrize(
    ("key", "value", "taken"),
    [
        ("region", "us-east-1", ["us-east-1"]),
        ("region", ["us-east-1", "eu-west-1"], ["us-east-1", "eu-west-1"]),
        ("accounts", ["111122223333", 111122223334], "111122223333,111122223334"),
        ("accounts", 111122223333, "111122223333"),
        ("accounts", "accounts.txt", "accounts.txt"),
        ("exclude-account", [111122223333], ["111122223333"]),
        ("refresh-after", "3h", "3h"),
        ("max-package-size", 100_000_000, "100000000"),
        ("package-rate", "50MB", "50MB"),
        ("list-rate", 10, "10"),
        ("quota-share", "0.5", "0.5"),
        ("package-concurrency", "4", "4"),
        ("incremental", True, True),
        ("profile", "prod", "prod"),
    ],
)
def test_taken(key, value, taken):
    """A value of another type is accepted if its meaning is clear."""
    assert as_given(OPTIONS["snapshot", key], value) == taken


@pytest.mark.parametrize("kind", ["folder", "pipe", "unreadable"])
def test_no_file(ask, tmp_path, kind):
    """A lexport.toml that is not a file or cannot be read is an error, and never blocks."""
    path = tmp_path / "lexport.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path)

    code, err = ask(None, "schema", "--table", "tags")

    assert code == 2
    assert err.startswith("lexport: lexport.toml: ")


def test_byte_order_mark(ask):
    """The mark that some editors write first is no part of the text."""
    assert ask(b"\xef\xbb\xbf[schema]\noutput = 'csv'\n", "schema", "--table", "tags") == (0, "")


def test_every_option_and_every_type(ask):
    """No value of lexport.toml leads to a traceback, a hang, or an error without table and key."""
    refused = 0
    for (command, key), option in OPTIONS.items():
        for value in WRONG:
            code, err = ask(f"[{command}]\n{key} = {value}\n", "schema", "--table", "tags")
            if command != "schema":
                assert code in (0, 2), (command, key, value)
            if code == 2 and err:
                assert "internal error" not in err
                assert err.startswith((f"lexport: lexport.toml: [{command}] {key}: ", "lexport")), (option, value, err)
                refused += 1

    assert refused > len(OPTIONS)


# --- variables ----------------------------------------------------------------------------------------------------


def test_unknown_variables(ask, monkeypatch):
    """An unknown LEXPORT_ variable leads to a warning with the nearest name and without its value, and to no error."""
    monkeypatch.setenv("LEXPORT_REGOIN", "a secret")
    monkeypatch.setenv("LEXPORT_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("LEXPORT_HASH_KEY", "another secret")
    monkeypatch.setenv("LEXPORT_REQUIRE_ALL", "1")

    code, err = ask(None, "schema", "--table", "tags")

    assert code == 0
    assert err.splitlines() == [
        "lexport: the variable LEXPORT_REGOIN is no setting and is not read; did you mean LEXPORT_REGION?",
        "lexport: the variable LEXPORT_SERVICE_HOST is no setting and is not read",
    ]


def test_known_variables():
    """Each option of a command has its variable, by the rule that the pages tell."""
    known = known_variables(all_commands())

    assert {"LEXPORT_REGION", "LEXPORT_HASH_KEY", "LEXPORT_HASH_KEY_FILE", "LEXPORT_MAX_AGE"} <= known
    assert set(COMMANDS) == {name.split()[0] for name in all_commands()}


def test_wrong_variable(ask, monkeypatch):
    """A wrong value names the variable that it is from; one that is no text is refused."""
    monkeypatch.setenv("LEXPORT_OUTPUT", "xml")
    code, err = ask(None, "schema")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "(set by LEXPORT_OUTPUT)" in err

    monkeypatch.setenv("LEXPORT_OUTPUT", "\udcff")
    code, err = ask(None, "schema")
    assert (code, err) == (2, "lexport: the variable LEXPORT_OUTPUT is not UTF-8 text\n")


@pytest.mark.parametrize("command", ["snapshot", "packages"])
@pytest.mark.parametrize("source", ["text", "list", "variable"])
def test_require(ask, monkeypatch, command, source):
    """``require`` of lexport.toml, as text or as a list, and LEXPORT_REQUIRE say what ``--require`` says."""
    toml = {"text": f"[{command}]\nrequire = 'layers'", "list": f"[{command}]\nrequire = ['packages', 'layers']"}
    if source == "variable":
        monkeypatch.setenv("LEXPORT_REQUIRE", "packages,layers")

    code, err = ask(toml.get(source), command, "fleet")

    assert code == 2
    assert ("--require takes packages, not" if command == "packages" else "--require: no part of a snapshot is") in err
    assert "'layers'" in err


# --- where requests and keys come from ----------------------------------------------------------------------------


def test_endpoint_of_the_folder_is_said(ask, tmp_path):
    """An endpoint or a package host of lexport.toml leads to a notice with file, key and host, and no secret."""
    toml = (
        '[snapshot]\npackages = true\nendpoint-url = "http://user:secret@127.0.0.1:1/?token=secret"\n'
        'package-host = ["files.example", "user:secret@mirror.example:8443"]\n'
    )
    code, err = ask(toml, "snapshot", "fleet", "--region", "us-east-1", "--env", "none")
    where = f"lexport: {tmp_path / 'lexport.toml'} says where requests go: [snapshot]"

    assert code == 2  # an endpoint takes no user
    assert err.splitlines()[:2] == [
        f"{where} endpoint-url = http://127.0.0.1:1",
        f"{where} package-host = files.example, mirror.example:8443",
    ]
    assert "secret" not in err


def test_own_endpoint_is_not_said(ask):
    """A flag leads to no notice, whatever lexport.toml holds."""
    toml = '[snapshot]\nendpoint-url = "http://127.0.0.1:1"\n'
    _, err = ask(toml, "snapshot", "fleet", "--endpoint-url", "ftp://x", "--region", "us-east-1")

    assert "where requests go" not in err


@pytest.mark.parametrize(
    ("flag", "variables", "toml", "expected"),
    [
        (True, ("key",), False, "flag"),
        (True, ("key", "file"), True, "flag"),
        (False, ("key",), True, None),
        (False, ("key", "file"), True, None),
        (False, ("file",), True, "variable"),
        (False, (), True, "toml"),
        (False, (), False, None),
    ],
)
def test_whose_key(monkeypatch, tmp_path, flag, variables, toml, expected):
    """A flag wins over the variables, the key itself over the path of one, and both over lexport.toml."""
    monkeypatch.delenv("LEXPORT_HASH_KEY", raising=False)
    monkeypatch.delenv("LEXPORT_HASH_KEY_FILE", raising=False)
    if "key" in variables:
        monkeypatch.setenv("LEXPORT_HASH_KEY", "the key")
    if "file" in variables:
        monkeypatch.setenv("LEXPORT_HASH_KEY_FILE", "variable")
    command = all_commands()["snapshot"]
    with command.make_context(
        "snapshot",
        ["fleet", *(["--hash-key-file", "flag"] if flag else [])],
        default_map={"hash_key_file": "toml"} if toml else {},
    ) as context:
        found = context.params["hash_key_file"]

    assert (None if found is None else str(found)) == expected


def test_missing_key_file(ask, monkeypatch):
    """A key file that a flag names and that is not there is an error, though a key is set."""
    monkeypatch.setenv("LEXPORT_HASH_KEY", "A" * 44)
    code, err = ask(None, "snapshot", "fleet", "--hash-key-file", "none", "--region", "us-east-1")

    assert code == 2
    assert "cannot read the hash key none" in err


@pytest.mark.parametrize("option", ["--functions-from", "--accounts", "--hash-key-file"])
def test_endless_file(ask, option):
    """An endless list or key is rejected after a bounded number of bytes."""
    given = ["--account-role", "reader"] if option == "--accounts" else []
    code, err = ask(None, "snapshot", "fleet", option, "/dev/zero", *given, "--region", "us-east-1")

    assert (code, len(err.splitlines())) == (2, 1)
    assert "is larger than 64 MiB" in err or "is no hash key" in err


def test_wrong_type_is_an_error_of_settings():
    """If a value of another type is not clear, the error says what to write."""
    with pytest.raises((ValueError, SettingsError), match="in quotes"):
        as_given(OPTIONS["snapshot", "profile"], 3)
