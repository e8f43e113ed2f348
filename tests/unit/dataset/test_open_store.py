"""Opening a destination: wrong addresses, a missing extra, the bucket's Region, credentials, encryption, and TLS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tiny_s3 import open_tiny_s3, refuse

from lexport.cli.main import run
from lexport.dataset.destination import prepare_store
from lexport.dataset.local import LocalStore
from lexport.dataset.open_store import open_store
from lexport.errors import CredentialsError, SettingsError, WriteError
from lexport.settings import Destination

KEY_ARN = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture
def s3(aws):
    with open_tiny_s3() as server:
        aws.setenv("AWS_ENDPOINT_URL_S3", server.url)
        yield server


def signed_for(server, method="PUT"):
    """The access key and the Region that the last request was signed with."""
    scope = server.headers(method)["authorization"].partition("Credential=")[2].partition(",")[0].split("/")
    return scope[0], scope[2]


@pytest.mark.parametrize(
    ("dest", "said"),
    [
        ("", "DEST is empty"),
        ("s3://", "names no bucket"),
        ("s3:///prefix", "names no bucket"),
        ("s3://b", "is not the name of a bucket"),
        ("s3://buc ket/x", "is not the name of a bucket"),
        ("s3://bucket:9000/x", "is not the name of a bucket"),
        ("s3://bucket//x", "two slashes"),
        ("s3://bucket/x//", "two slashes"),
        ("s3://bucket/a/../b", "`.` and `..`"),
        ("s3://bucket/.", "`.` and `..`"),
        ("s3://bucket/a\\b", "a backslash"),
        ("s3://bucket/a\nb", "cannot be printed"),
        ("s3://bucket/x?X-Amz-Signature=canary", "`?` or `#`"),
        ("s3://bucket/x#canary", "`?` or `#`"),
        ("s3://user:canary@bucket/x", "a user name or a password"),
        ("s3://user:canary/x@bucket/x", "is not the name of a bucket"),
        ("s3://user/canary:canary@bucket/x?y", "`?` or `#`"),
        ("s3://canary@bucket/x?y", "a user name or a password"),
        ("s3:/bucket/x", "DEST s3:/bucket/x: only these can be read and written"),
        ("s3a://bucket/x", "only these"),
        ("https://user:canary@bucket.s3.amazonaws.com/x?sig=canary", "only these"),
        ("file:///tmp/x", "only these"),
    ],
)
def test_wrong_addresses(dest, said):
    """An address that names no place is refused with the reason, and without what may be a secret in it."""
    with pytest.raises(SettingsError, match="DEST") as refused:
        open_store(dest)

    assert said in str(refused.value)
    assert "canary" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_folders(tmp_path, monkeypatch):
    """A path is a folder, also with a colon in it, and whatever object it comes in."""
    monkeypatch.chdir(tmp_path)
    for dest in ("fleet", Path("fleet"), Destination("fleet")):
        assert open_store(dest) == LocalStore(tmp_path / "fleet")
    assert open_store("night:1").url == str(tmp_path / "night:1")


@pytest.mark.parametrize("dest", ["fleet", "gs://bucket/fleet", "az://bucket/fleet"])
@pytest.mark.parametrize("more", [{"sse": "aws:kms"}, {"kms_key": KEY_ARN}])
def test_encryption_that_is_not_done_is_refused(dest, more):
    """Encryption that a place cannot be asked for is an error, not ignored."""
    with pytest.raises(SettingsError, match="is for s3:// alone"):
        open_store(Destination(dest, **more))


@pytest.mark.parametrize("command", [["sql", "s3://bucket/fleet", "FROM functions"], ["snapshot", "gs://bucket/fleet"]])
def test_without_the_extra(command, environment):
    """Without obstore, an address gets one line that says how to install it, and exit 2."""
    code = "import sys; sys.modules['obstore'] = None; from lexport.cli.main import run; sys.exit(run(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *command], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install 'lexport[cloud]'" in done.stderr


def test_a_folder_needs_no_extra(environment, tmp_path):
    """A folder is read without obstore being imported."""
    code = (
        "import sys; sys.modules['obstore'] = None\n"
        "from lexport.dataset.open_store import open_store; print(open_store(sys.argv[1]).names(''))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], env=environment, check=False)

    assert done.returncode == 0


def test_azure_without_an_account(aws):
    """A setting that is missing is said at once, with the variables that have it."""
    for name in [name for name in os.environ if name.startswith("AZURE")]:
        aws.delenv(name)
    with pytest.raises(SettingsError, match="Account must be specified; set the variables of its account: AZURE_"):
        open_store("az://container/fleet")


def test_a_bucket_that_does_not_exist(bucket):
    """A bucket that is not there is wrong use, before anything is read or written."""
    with pytest.raises(SettingsError, match="there is no bucket lexport-none; create it first"):
        open_store("s3://lexport-none/fleet")


@pytest.mark.parametrize("status", [200, 301, 400, 403])
def test_requests_are_signed_for_the_region_of_the_bucket(s3, aws, status):
    """The bucket's own Region is found, wherever the caller is and also where HeadBucket is refused."""
    aws.setenv("AWS_REGION", "us-west-2")
    s3.region, s3.head_status = "eu-central-1", status
    open_store("s3://bucket/fleet").create("a", b"1")

    assert signed_for(s3) == ("testing", "eu-central-1")


def test_a_server_that_names_no_region(s3, aws):
    """Where the server does not say the Region, the caller's own is used."""
    aws.setenv("AWS_REGION", "us-west-2")
    s3.region = ""
    open_store("s3://bucket/fleet").create("a", b"1")

    assert signed_for(s3) == ("testing", "us-west-2")


@pytest.mark.parametrize(
    ("more", "algorithm", "key"),
    [
        ({}, None, None),
        ({"sse": "AES256"}, "AES256", None),
        ({"kms_key": KEY_ARN}, "aws:kms", KEY_ARN),
        ({"sse": "aws:kms:dsse", "kms_key": KEY_ARN}, "aws:kms:dsse", KEY_ARN),
    ],
)
def test_encryption(s3, more, algorithm, key):
    """Every object is written with the encryption that was asked for."""
    store = open_store(Destination("s3://bucket/fleet", **more))
    for write in (store.create, store.replace):
        write("a", b"1")
        headers = s3.headers("PUT")
        assert headers.get("x-amz-server-side-encryption") == algorithm
        assert headers.get("x-amz-server-side-encryption-aws-kms-key-id") == key


@pytest.fixture
def profiles(aws, tmp_path):
    """Two profiles: ``lambda``, and ``store``, whose helper makes other keys each time."""
    helper = tmp_path / "helper.py"
    helper.write_text(
        "import json, pathlib\n"
        f"count = pathlib.Path({str(tmp_path / 'count')!r}); n = len(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text('x' * n)\n"
        f"at = {(datetime.now(UTC) + timedelta(hours=1)).isoformat()!r}\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'STORE{n}', 'SecretAccessKey': 'canary-secret',"
        " 'SessionToken': 'canary-token', 'Expiration': at}))\n"
    )
    config = tmp_path / "config"
    config.write_text(
        f"[profile lambda]\naws_access_key_id = LAMBDA\naws_secret_access_key = canary-secret\n"
        f"[profile store]\ncredential_process = {sys.executable} {helper}\n"
    )
    aws.setenv("AWS_CONFIG_FILE", str(config))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        aws.delenv(name)


def test_credentials(s3, profiles):
    """The credentials are those of the Lambda calls, or of --dest-profile; it wins."""
    open_store("s3://bucket/fleet", profile="lambda").create("a", b"1")
    assert signed_for(s3)[0] == "LAMBDA"
    store = open_store(Destination("s3://bucket/fleet", dest_profile="store"), profile="lambda")
    store.create("b", b"1")
    assert signed_for(s3)[0].startswith("STORE")


def test_credentials_of_plan(s3, profiles):
    """The profile of a plan is that of its dataset, too."""
    assert run(["plan", "s3://bucket/fleet", "--profile", "lambda", "--region", "us-east-1"]) == 2
    assert signed_for(s3, "GET")[0] == "LAMBDA"


def test_credentials_that_expire_are_renewed(s3, profiles, tmp_path):
    """Credentials that S3 calls expired are loaded again, once, and the request is sent again."""
    store = open_store("s3://bucket/fleet", profile="store")
    store.create("a", b"1")
    before, loads = signed_for(s3)[0], len((tmp_path / "count").read_text())
    s3.faults["PUT"] = [refuse(400, "ExpiredToken")]
    store.create("b", b"1")

    assert signed_for(s3)[0] not in ("", before)
    assert len((tmp_path / "count").read_text()) == loads + 1


def test_credentials_that_cannot_be_renewed(s3, profiles, tmp_path):
    """Where the helper fails meanwhile, its error says so, without a secret."""
    store = open_store("s3://bucket/fleet", profile="store")
    (tmp_path / "helper.py").write_text("import sys; sys.exit('canary-secret')")
    s3.faults["PUT"] = [refuse(400, "ExpiredToken")] * 9
    with pytest.raises(WriteError, match="ExpiredToken") as raised:
        store.create("a", b"1")

    assert "canary" not in str(raised.value)


def test_no_credentials(s3, aws, capsys):
    """Without credentials a command ends with exit 5 before it asks for any object."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        aws.delenv(name)

    assert run(["status", "s3://bucket/fleet"]) == 5
    assert capsys.readouterr().err.count("\n") == 1
    assert s3.requests == []


def test_a_private_certificate(aws, certificate):
    """The certificates of AWS_CA_BUNDLE are trusted for the bucket."""
    context, ca_file = certificate
    with open_tiny_s3(context) as server:
        aws.setenv("AWS_ENDPOINT_URL_S3", server.url)
        aws.setenv("AWS_CA_BUNDLE", ca_file)
        store = open_store("s3://bucket/fleet")
        store.create("a", b"1")
        assert server.objects == {"fleet/a": b"1"}


# --- a destination to publish to ------------------------------------------------------------------------------------


def test_an_empty_prefix_and_a_dataset_can_be_published_to(s3):
    """A prefix without objects and one with a dataset are taken, and nothing is written to find that out."""
    s3.objects = {"other/thesis.txt": b"1", "mine/_runs/a.json": b"1", "mine/note.txt": b"1", "old/_staging/x": b"1"}
    for prefix in ("new", "mine", "old"):
        assert prepare_store(f"s3://bucket/{prefix}", group_readable=False).url == f"s3://bucket/{prefix}"
    assert set(s3.methods()) == {"GET"}


@pytest.mark.parametrize("dest", ["s3://bucket", "s3://bucket/other"])
def test_a_bucket_with_other_content(s3, dest):
    """What is not lexport's is named, and nothing is written among it."""
    s3.objects = {"other/thesis.txt": b"1"}
    with pytest.raises(SettingsError, match=r"holds something else \((other|thesis.txt)\)"):
        prepare_store(dest, group_readable=False)


def test_a_bucket_that_may_not_be_listed(s3):
    """A refusal is an error of credentials, and never looks like an empty bucket."""
    s3.faults["GET"] = [refuse(403, "AccessDenied")] * 9
    with pytest.raises(CredentialsError, match="may not be listed: the server answered 403 AccessDenied"):
        prepare_store("s3://bucket/fleet", group_readable=False)


def test_settings_are_checked():
    """A Destination with values that make no sense is refused, and it may stand for a path."""
    for wrong in ({"sse": "rot13"}, {"cache_size_bytes": 0}, {"timeout_s": 0}, {"timeout_s": float("nan")}):
        with pytest.raises(SettingsError):
            Destination("s3://bucket", **wrong)
    with pytest.raises(SettingsError, match="goes with --dest-sse aws:kms"):
        Destination("s3://bucket", sse="AES256", kms_key=KEY_ARN)
    assert json.dumps(str(Destination("s3://bucket/x"))) == '"s3://bucket/x"'
    assert Path(Destination("a/b")) == Path("a/b")
