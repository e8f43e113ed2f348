"""The key of the hashes: where it comes from, that it is made once, and that nobody sees it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lexport.errors import SettingsError
from lexport.extract.hash_key import HashKey, load_hash_key
from lexport.extract.rows import ValueHasher

SECRET = bytes(range(32))
ENCODED = base64.b64encode(SECRET).decode()


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """A state folder of its own, and no key from outside."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("LEXPORT_HASH_KEY", raising=False)
    return tmp_path / "state" / "lexport" / "hash.key"


# --- hashes ---------------------------------------------------------------------------------------------------------


def test_hmac():
    """A value's hash is the first 16 bytes of HMAC-SHA-256 over its UTF-8, in hex."""
    hasher = ValueHasher(HashKey(SECRET))

    values = ["", "s3cret", "шифр", "s3cret", "\U0001f40d" * 5000]

    hashed = hasher.value_hmacs(value.encode() for value in values)

    assert hashed == b"".join(hmac.new(SECRET, value.encode(), hashlib.sha256).digest()[:16] for value in values)


def test_known_answer():
    """The hash is RFC 4231's (test case 2), cut to 16 bytes."""
    found = ValueHasher(HashKey(b"Jefe")).value_hmacs([b"what do ya want for nothing?"])

    assert found.hex() == "5bdcc146bf60754e6a042426089575c7"


@pytest.mark.parametrize("length", [16, 63, 64, 65, 131])
def test_keys_of_any_length(length):
    """A key longer than a block of SHA-256 counts as its hash, as RFC 2104 says."""
    key, value = b"\xaa" * length, "Test Using Larger Than Block-Size Key - Hash Key First"
    expected = hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:32]

    assert ValueHasher(HashKey(key)).value_hmacs([value.encode()]).hex() == expected


def test_key_id():
    """The id of a key is its own, short, and no part or hash of the key itself."""
    ids = {HashKey(bytes([number]) * 32).key_id for number in range(50)}

    assert len(ids) == 50
    assert {len(key_id) for key_id in ids} == {16}
    assert ValueHasher(HashKey(SECRET)).key_id == HashKey(SECRET).key_id
    assert HashKey(SECRET).key_id not in (SECRET.hex(), hashlib.sha256(SECRET).hexdigest()[:16])


def test_not_in_repr():
    """Neither key nor hasher tells the secret when shown."""
    key = HashKey(SECRET)
    shown = f"{key!r} {key} {ValueHasher(key)!r}"

    assert repr(key) == "HashKey()"
    assert [text for text in (ENCODED, repr(SECRET)[2:20], SECRET.hex()) if text in shown] == []


# --- where the key is -----------------------------------------------------------------------------------------------


def test_the_file_first(state, tmp_path, monkeypatch):
    """A named file wins over LEXPORT_HASH_KEY, and the state folder is not touched."""
    path = tmp_path / "key"
    path.write_text(ENCODED + "\n")
    monkeypatch.setenv("LEXPORT_HASH_KEY", base64.b64encode(b"x" * 32).decode())

    assert load_hash_key(path) == HashKey(SECRET)
    assert not state.exists()


def test_the_variable_next(state, monkeypatch):
    """LEXPORT_HASH_KEY wins over the state folder, which is not touched."""
    monkeypatch.setenv("LEXPORT_HASH_KEY", f" {ENCODED}\n")

    assert load_hash_key(None) == HashKey(SECRET)
    assert not state.exists()


def test_endless_file():
    """A file without an end is no key; only its beginning is read."""
    with pytest.raises(SettingsError, match="is no hash key"):
        load_hash_key(Path("/dev/zero"))


def test_made_once(state):
    """Without either, a key is made in the state folder: 32 random bytes, for the user alone, the same ever after."""
    first = load_hash_key(None)

    assert len(first.secret) == 32
    assert base64.b64decode(state.read_bytes()) == first.secret
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700
    assert load_hash_key(None) == first
    assert [path.name for path in state.parent.iterdir()] == ["hash.key"]


def test_mode_whatever_the_umask(state):
    """A generous umask does not open the key to others."""
    before = os.umask(0)
    try:
        load_hash_key(None)
    finally:
        os.umask(before)

    assert stat.S_IMODE(state.stat().st_mode) == 0o600


def test_an_empty_variable_is_none(state, monkeypatch):
    """An empty variable means that there is none."""
    monkeypatch.setenv("LEXPORT_HASH_KEY", "")

    assert load_hash_key(None).secret == base64.b64decode(state.read_bytes())


def test_home_without_state_home(tmp_path, monkeypatch):
    """Where XDG_STATE_HOME is not set, the state folder is below the home."""
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))

    load_hash_key(None)

    assert (tmp_path / ".local" / "state" / "lexport" / "hash.key").is_file()


@pytest.mark.slow
def test_two_first_runs_get_one_key(state):
    """Processes that race for the first key all end with the same one, and leave nothing else behind."""
    script = (
        "import sys; from lexport.extract.hash_key import load_hash_key; "
        "sys.stdin.read(1); print(load_hash_key(None).key_id)"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for run in runs:
        run.stdin.write("g")
        run.stdin.flush()
    ids = {run.communicate()[0] for run in runs}

    assert ids == {load_hash_key(None).key_id + "\n"}
    assert [path.name for path in state.parent.iterdir()] == ["hash.key"]


@pytest.mark.parametrize("length", [16, 17, 64, 100])
def test_the_shortest_key(monkeypatch, length):
    """Sixteen bytes are enough, and more are taken whole."""
    monkeypatch.setenv("LEXPORT_HASH_KEY", base64.b64encode(b"k" * length).decode())

    assert load_hash_key(None) == HashKey(b"k" * length)


# --- what is wrong --------------------------------------------------------------------------------------------------

BAD = [
    "no base64!",
    "aGk=",
    base64.b64encode(b"x" * 15).decode(),
    "ключ",
    " ",
    "=",
    ENCODED[:-1] + "\ufffd",
    ENCODED[:-1],
]


@pytest.mark.parametrize("text", BAD)
def test_a_bad_key_in_the_variable(monkeypatch, text):
    """What is no base64 of 16 bytes or more is refused; the message does not repeat it."""
    monkeypatch.setenv("LEXPORT_HASH_KEY", text)
    with pytest.raises(SettingsError) as refused:
        load_hash_key(None)

    assert str(refused.value).startswith("LEXPORT_HASH_KEY is no hash key: wanted base64 of at least 16 bytes")
    assert refused.value.option == "--hash-key-file"
    assert text == " " or text not in str(refused.value).removeprefix("LEXPORT_HASH_KEY is no hash key").replace(
        "=", ""
    )


@pytest.mark.parametrize("text", [*BAD, ""])
def test_a_bad_key_in_a_file(tmp_path, text):
    """The same in a file, which is named."""
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_hash_key(path)

    assert str(refused.value).startswith(f"--hash-key-file {path} is no hash key: ")


def test_a_damaged_key_is_not_made_anew(state):
    """A damaged key in the state folder is an error: a new one would silently break comparison with older snapshots."""
    load_hash_key(None)
    state.write_text("damaged")
    with pytest.raises(SettingsError, match="is no hash key"):
        load_hash_key(None)

    assert state.read_text() == "damaged"


@pytest.mark.parametrize("name", ["absent", "folder"])
def test_a_file_that_cannot_be_read(tmp_path, name):
    """A file that is not there or is none is named with the reason."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(SettingsError) as refused:
        load_hash_key(tmp_path / name)

    assert str(refused.value).startswith(f"cannot read the hash key {tmp_path / name}: ")


@pytest.mark.parametrize("place", ["/proc/lexport", "/dev/null", "/tmp/" + "x" * 300])
def test_a_state_folder_that_cannot_be(monkeypatch, place):
    """Where no state folder can be made, the message says what to do instead."""
    monkeypatch.setenv("XDG_STATE_HOME", place)
    with pytest.raises(SettingsError, match=r"cannot keep the hash key in .*; set LEXPORT_HASH_KEY or --hash-key-file"):
        load_hash_key(None)


def test_a_user_without_a_home(monkeypatch):
    """A container's user without a home gets a clear line, too."""
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "~")
    with pytest.raises(SettingsError, match="there is no home folder to keep the hash key in; set LEXPORT_HASH_KEY"):
        load_hash_key(None)

    assert not Path("~").exists()


def test_a_link_that_leads_nowhere(state):
    """A state file that is a dangling link is an error, and stays as it is."""
    state.parent.mkdir(parents=True)
    state.symlink_to("/nowhere/at/all")
    with pytest.raises(SettingsError, match="cannot read the hash key"):
        load_hash_key(None)

    assert state.is_symlink()
