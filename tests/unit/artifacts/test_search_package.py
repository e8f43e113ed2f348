"""The search of one stored package for secrets: what is found where, and what is no secret."""

import base64
import json
from pathlib import Path

import pytest

from lexport.artifacts.archive_limits import ArchiveLimits
from lexport.artifacts.secrets.search_package import search_package

SHA = "ab" * 32
MIXED = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1eF2gH4jK6m"
GITHUB = "gh" + "p_" + MIXED[:36]
KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEAx7" + MIXED + "\n"


@pytest.fixture
def search(tmp_path):
    """Return a function: bytes of a package -> findings (path, line, rule), and problems by code."""

    def run(body, **limits):
        (tmp_path / "p.zip").write_bytes(body)
        batches = []
        done = search_package(tmp_path / "p.zip", sha256_hex=SHA, emit=batches.append, limits=ArchiveLimits(**limits))
        rows = [row for batch in batches for row in batch["package_secrets"].to_pylist()]
        assert done.status == ("incomplete" if done.problems else "complete")
        said = str(rows) + str(done)
        assert MIXED[:30] not in said
        assert list(tmp_path.iterdir()) == [tmp_path / "p.zip"]
        problems = {problem.code: problem.message for problem in done.problems}
        return [(row["path"], row["line"], row["rule"]) for row in rows], problems

    return run


def test_own_code(search, zips):
    """The line of each secret in the function's own text is found, whatever its encoding or the length of the line."""
    line = f'const t = "{GITHUB}";'
    minified = "a=1;" * 30_000 + line + "b=2;" * 30_000
    files = {
        "app.py": b"import os\n\nTOKEN = '" + GITHUB.encode() + b"'\n",
        "settings.env": f"# x\r\nREPORTS_DB=postgres://app:s3cr3t-Pw@db.internal:5432/app\r\nAPI_SECRET={MIXED}\r\n".encode(),
        "windows.config": ("\r\n" * 3 + line).encode("utf-16"),
        "no_mark.ini": ("x\n" + line).encode("utf-16-le"),
        "wide.txt": line.encode("utf-32"),
        "bundle.js": minified.encode(),
        "bundle.js.map": json.dumps({"sourcesContent": ["x\n" * 40_000 + line]}).encode(),
        "tests/key.pem": b"\n" + KEY.encode(),
        "inline.js": ("var k = " + json.dumps(KEY)).encode(),
        "gcp.json": json.dumps({"private_key": KEY}, indent=1).encode(),
        "latin.txt": "Schlüssel: ".encode("latin-1") + GITHUB.encode(),
    }
    found, problems = search(zips.zip_bytes(*(zips.Member(name=name, data=data) for name, data in files.items())))

    assert problems == {}
    assert sorted(found) == [
        ("app.py", 3, "github_token"),
        ("bundle.js", 1, "github_token"),
        ("bundle.js.map", 1, "github_token"),
        ("gcp.json", 2, "private_key"),
        ("inline.js", 1, "private_key"),
        ("latin.txt", 1, "github_token"),
        ("no_mark.ini", 2, "github_token"),
        ("settings.env", 2, "url_password"),
        ("settings.env", 3, "random_secret"),
        ("tests/key.pem", 2, "private_key"),
        ("wide.txt", 1, "github_token"),
        ("windows.config", 4, "github_token"),
    ]


def _token(header, payload):
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, payload))
    return ".".join((*parts, MIXED))


@pytest.mark.parametrize(
    "text",
    [
        "AKIA" + "IOSFODNN7EXAMPLE",
        "AKIA" + "0000111122223333",  # no characters of base32
        _token({"alg": "HS256", "typ": "JWT"}, {"sub": "1234567890", "name": "John Doe", "iat": 1516239022}),
        'if line == "-----BEGIN ' + 'PRIVATE KEY-----":',
        "-----BEGIN " + 'PRIVATE KEY-----\\n...\\n-----END PRIVATE KEY-----"',
        "AccountKey=" + "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
        "sk" + "_test_4eC39HqLyjWDarjtT1zdp7dc",
        "connect(user=user, password=config.password2, timeout=1)",
        'requests.get("http://user:' + 'passw0rd@localhost:8080")',
        'password = "your-password-1"',
        '{"output_token": "NextToken"}',
        '"license_key": "LicenseRef-scancode-Apache-2.0-with-exception"',
        "x = '" + "QUJD" * 30 + "/EAAA" + MIXED + MIXED[:20] + "'",  # base64 of something else
    ],
)
def test_examples_and_code(search, zips, text):
    """Documented examples, constants of parsers, placeholders and encoded data are no findings in own code either."""
    assert search(zips.zip_bytes(zips.Member(name="app.py", data=text.encode()))) == ([], {})


def test_libraries(search, zips):
    """Tests and documentation of libraries are not searched; the rest of them for formats of providers alone."""
    record = b"lib/__init__.py,,\nlib/tests/test_x.py,,\nlib/conf.py,,\nlib/README.md,,\n"
    url = b"see postgres://app:" + b"s3cr3t-Pw@db.internal:5432/app"
    names = ["lib/tests/test_x.py", "lib/README.md", "node_modules/a/test/key.js", "node_modules/a/index.d.ts"]
    body = zips.zip_bytes(
        zips.Member(name="lib-1.dist-info/METADATA", data=b"Name: lib\nVersion: 1\n"),
        zips.Member(name="lib-1.dist-info/RECORD", data=record),
        *(zips.Member(name=name, data=GITHUB.encode()) for name in names),
        zips.Member(name="lib/conf.py", data=GITHUB.encode()),
        zips.Member(name="lib/__init__.py", data=url),
        zips.Member(name="own/__init__.py", data=url),
        zips.Member(name="lib/x.jar", data=zips.zip_bytes(zips.Member(name="a.properties", data=GITHUB.encode()))),
    )

    assert sorted(search(body)[0]) == [
        ("lib/conf.py", 1, "github_token"),
        ("lib/x.jar!/a.properties", 1, "github_token"),
        ("own/__init__.py", 1, "url_password"),
    ]


def test_lies_and_limits(search, zips):
    """Members that lie, binary ones and texts beyond a limit cost what they hold; the others are searched."""
    good = zips.Member(name="z.py", data=GITHUB.encode())
    liar = zips.Member(name="crc.py", data=GITHUB.encode(), says={"crc": 1})
    long = zips.Member(name="long.txt", data=b"x\n" * 300_000 + GITHUB.encode())
    binary = zips.Member(name="program", data=b"\x7fELF\0\0" + GITHUB.encode())
    encrypted = zips.Member(name="e.py", data=GITHUB.encode(), says={"flags": 1})
    found, problems = search(zips.zip_bytes(liar, long, binary, encrypted, good), text_bytes=500_000)
    many, spent = search(
        zips.zip_bytes(zips.Member(name="m.txt", data=(GITHUB + "\n").encode() * 30), good), findings=20
    )

    assert found == [("crc.py", 1, "github_token"), ("z.py", 1, "github_token")]
    assert {code: message.split(": ")[1] for code, message in problems.items()} == {
        "damaged_entry": "crc.py",
        "too_large": "long.txt",
        "encrypted": "'e.py' is encrypted",
    }
    assert (len(many), set(spent)) == (20, {"too_many_findings"})
    assert search(b"no zip") == ([], {"not_a_zip": f"package {SHA}: the package: not a zip"})
    assert set(search(zips.zip_bytes(good, long), seconds=-1.0)[1]) == {"too_slow"}


def test_precision_on_installed_libraries(search, zips):
    """In a real library with documentation of secrets, of which the parts are joined here, nothing is found."""
    import botocore

    folder = Path(botocore.__file__).parent
    files = [*folder.glob("*.py"), *folder.glob("data/iam/*/*.json"), *folder.glob("data/sts/*/*.json")]
    members = (zips.Member(name=str(file.relative_to(folder.parent)), data=file.read_bytes()) for file in files)
    record = "".join(f"{file.relative_to(folder.parent)},,\n" for file in files).encode()
    body = zips.zip_bytes(
        *members,
        zips.Member(name="botocore-1.dist-info/METADATA", data=b"Name: botocore\nVersion: 1\n"),
        zips.Member(name="botocore-1.dist-info/RECORD", data=record),
    )

    assert len(files) > 30
    assert search(body) == ([], {})
