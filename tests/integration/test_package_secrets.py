"""``lexport packages --inspect --secrets``: the table, the view, the check, and that no secret is kept anywhere."""

import base64
import hashlib
import json

import pytest

import lexport
from lexport.artifacts.secrets import code_rules

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]

MIXED = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1eF2gH4jK6m"
GITHUB = "gh" + "p_" + MIXED[:36]


def stored(dest, body):
    """Put a package into the store of a dataset; return its hash as AWS sends it."""
    digest = hashlib.sha256(body)
    path = dest / "_packages" / "sha256" / digest.hexdigest()[:2] / f"{digest.hexdigest()}.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(body)
    return base64.b64encode(digest.digest()).decode()


async def test_search_the_packages_of_a_dataset(write_dataset, run_lexport, zips, tmp_path):
    """Each package is searched once with the same rules, also where it was inspected before.

    Table, view and check name the file, the line and the rule. The secret and its line are in no file and no output.
    """
    dest = tmp_path / "fleet"
    canary = f"x = '{GITHUB}'  # the line"
    body = zips.zip_bytes(
        zips.Member(name="app.py", data=f"\n{canary}\n{canary}".encode()),
        zips.Member(name="lie.py", data=canary.encode(), says={"crc": 1}),
    )
    clean = zips.zip_bytes(zips.Member(name="a.py", data=b"x"))
    hashes = [stored(dest, each) for each in (body, clean)]
    functions = [
        {
            "function_name": name,
            "version": "$LATEST",
            "code_sha256": code,
            "code_size": len(each),
            "package_type": "Zip",
        }
        for name, code, each in (("f", hashes[0], body), ("g", hashes[1], clean))
    ]
    write_dataset(dest, [{"functions": functions}])
    look = ("packages", dest, "--region", "eu-west-1", "--endpoint-url", "http://127.0.0.1:9", "--inspect")
    alone = await run_lexport("packages", dest, "--secrets")
    inspected = await run_lexport(*look)
    first = await run_lexport(*look, "--secrets")
    second = await run_lexport(*look, "--secrets")
    told = await run_lexport("sql", dest, "package_secrets_in_use", "--output", "json")
    found = await run_lexport("check", dest, "--check", "secret_in_code", "--output", "json")
    counted = await lexport.sql(dest, "SELECT secrets_status, secret_rules_version FROM packages ORDER BY ALL")
    errors = await lexport.sql(dest, "SELECT error_code FROM history.errors WHERE stage = 'secrets'")

    assert alone.code == 2
    assert "--inspect" in alone.err
    assert [run.code for run in (inspected, first, second)] == [0, 0, 0]
    assert "searched" not in inspected.err
    assert "searched for secrets" in first.err
    assert "searched" not in second.err
    assert "github_token" in first.err
    rows = [(row["function_name"], row["path"], row["line"], row["rule"]) for row in json.loads(told.out)]
    assert rows == [
        ("f", "app.py", 2, "github_token"),
        ("f", "app.py", 3, "github_token"),
        ("f", "lie.py", 1, "github_token"),
    ]
    assert found.code == 4
    assert [item["subject"] for item in json.loads(found.out)] == ["app.py: github_token", "lie.py: github_token"]
    version = code_rules.RULES_VERSION
    assert [tuple(row.values()) for row in counted.to_pylist()] == [("complete", version), ("incomplete", version)]
    assert errors.to_pylist() == [{"error_code": "damaged_entry"}]
    outputs = "".join(run.out + run.err for run in (alone, inspected, first, second, told, found))
    kept = [path.read_bytes() for path in dest.rglob("*") if path.is_file() and "_packages" not in path.parts]
    for secret in (GITHUB, MIXED[:16], "# the line"):
        assert secret not in outputs
        assert not any(secret.encode() in each for each in kept)
