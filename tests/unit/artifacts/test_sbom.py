"""The SBOM is valid CycloneDX, agrees with the tables, and has the same bytes each time."""

import io
import json

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

import lexport
from lexport.errors import RunError, SettingsError

ARN = "arn:aws:lambda:eu-west-1:111122223333:function:"
LAYER = "arn:aws:lambda:eu-west-1:111122223333:layer:shared:3"
A, B, L = "aa" * 32, "bb" * 32, "cc" * 32


def function(name, version, code, **more):
    return {
        "function_name": name,
        "version": version,
        "function_arn": ARN + name,
        "runtime": "python3.13",
        "code_sha256": code,
        "package_type": "Zip",
        **more,
    }


def library(sha256_hex, ecosystem, name, version, path):
    return {"sha256_hex": sha256_hex, "ecosystem": ecosystem, "name": name, "version": version, "path": path}


FLEET = {
    "functions": [
        function("f", "$LATEST", "A=", architecture="arm64"),
        function("f", "1", "A="),
        function("g", "$LATEST", "B="),
        function("i", "$LATEST", "dd" * 32, package_type="Image", runtime=None),
    ],
    "layers": [{"function_name": "g", "version": "$LATEST", "position": 0, "layer_arn": LAYER}],
}
INSPECTED = {
    "scopes": [],
    "packages": [
        {"code_sha256": "A=", "sha256_hex": A, "status": "stored", "dependencies_status": "complete"},
        {"code_sha256": "B=", "sha256_hex": B, "status": "stored"},
        {"code_sha256": "dd" * 32, "sha256_hex": "dd" * 32, "status": "image"},
        {
            "code_sha256": "zMzM" * 10 + "zMw=",
            "sha256_hex": L,
            "status": "stored",
            "dependencies_status": "incomplete",
        },
    ],
    "layer_versions": [{"layer_arn": LAYER, "code_sha256": "zMzM" * 10 + "zMw=", "status": "stored"}],
    "package_dependencies": [
        library(A, "npm", "@s/é", "1.0.0", "node_modules/@s/é/package.json"),
        library(A, "maven", "org.apache.logging.log4j:log4j-core", "2.14.1", "lib/l.jar!/pom.properties"),
        library(L, "pypi", "requests", "2.0", "a/METADATA"),
        library(L, "pypi", "requests", "2.0", "b/METADATA"),
        library(L, "golang", "github.com/BurntSushi/toml", "v1.0.0", "extensions/x"),
        library(L, "maven", "no group", "1", "x.jar!/META-INF/MANIFEST.MF"),
        library(L, "gem", "no-version", None, "Gemfile.lock"),
    ],
}


@pytest.fixture
def write(tmp_path, write_dataset):
    """Return a function that writes the SBOM of a fleet of four function versions and validates it."""

    async def run(snapshots=(FLEET, INSPECTED), **options):
        if not (tmp_path / "fleet").exists():
            write_dataset(tmp_path / "fleet", list(snapshots))
        stream = io.BytesIO()
        result = await lexport.sbom(tmp_path / "fleet", stream, **options)
        text = stream.getvalue().decode()
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
        return text, json.loads(text), result

    return run


@pytest.mark.asyncio
async def test_the_fleet(write):
    """Each function version, content and library is listed once, and each reference leads to one of them."""
    _, bill, result = await write()
    components = {item["bom-ref"]: item for item in bill["components"]}
    nodes = {item["ref"]: item["dependsOn"] for item in bill["dependencies"]}

    assert len(components) == len(bill["components"]) == 4 + 3 + 6
    assert components[f"{ARN}f:$LATEST"] == {
        "type": "application",
        "bom-ref": f"{ARN}f:$LATEST",
        "name": "f",
        "version": "$LATEST",
        "hashes": [{"alg": "SHA-256", "content": A}],
        "properties": [
            {"name": "aws:account_id", "value": "111122223333"},
            {"name": "aws:region", "value": "eu-west-1"},
            {"name": "aws:lambda:runtime", "value": "python3.13"},
            {"name": "aws:lambda:architecture", "value": "arm64"},
            {"name": "aws:lambda:package_type", "value": "Zip"},
        ],
    }
    assert components[f"sha256:{L}"]["name"] == LAYER
    assert components["pypi:requests@2.0"] == {
        "type": "library",
        "bom-ref": "pypi:requests@2.0",
        "name": "requests",
        "version": "2.0",
        "purl": "pkg:pypi/requests@2.0",
        "evidence": {
            "occurrences": [{"location": f"{L}.zip!/a/METADATA"}, {"location": f"{L}.zip!/b/METADATA"}],
        },
    }
    assert components["gem:no-version"] == {
        "type": "library",
        "bom-ref": "gem:no-version",
        "name": "no-version",
        "purl": "pkg:gem/no-version",
        "evidence": {"occurrences": [{"location": f"{L}.zip!/Gemfile.lock"}]},
    }
    assert nodes == {
        f"{ARN}f:$LATEST": [f"sha256:{A}"],
        f"{ARN}f:1": [f"sha256:{A}"],
        f"{ARN}g:$LATEST": [f"sha256:{B}", f"sha256:{L}"],
        f"sha256:{A}": ["maven:org.apache.logging.log4j:log4j-core@2.14.1", "npm:@s/é@1.0.0"],
        f"sha256:{L}": [
            "gem:no-version",
            "golang:github.com/BurntSushi/toml@v1.0.0",
            "maven:no group@1",
            "pypi:requests@2.0",
        ],
    }
    assert {ref for refs in nodes.values() for ref in refs} <= components.keys()
    assert (result.functions, result.incomplete) == (4, 2)


@pytest.mark.asyncio
async def test_incomplete_and_unknown_contents(write):
    """A package that was not inspected is incomplete, an image unknown; a completely read package is neither."""
    _, bill, _ = await write()
    statuses = {item["name"]: item["properties"][0]["value"] for item in bill["components"] if item["type"] == "file"}

    assert bill["compositions"] == [
        {"aggregate": "incomplete", "dependencies": [f"{ARN}g:$LATEST"]},
        {"aggregate": "unknown", "dependencies": [f"{ARN}i:$LATEST"]},
    ]
    assert statuses == {f"{A}.zip": "complete", f"{B}.zip": "incomplete", LAYER: "incomplete"}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("package", "layer", "expected"),
    [
        ("complete", "complete", None),
        ("complete", "unknown", "unknown"),
        ("unknown", "incomplete", "incomplete"),
        ("incomplete", "complete", "incomplete"),
        (None, "complete", "incomplete"),
        ("complete", None, "incomplete"),
    ],
)
async def test_status_is_the_worst_of_all_contents(write, package, layer, expected):
    """The status of a function version is the worst of its package and layers, by their last inspection."""
    codes = ("B=", package), ("zMzM" * 10 + "zMw=", layer)
    inspected = [
        {"code_sha256": code, "sha256_hex": name, "status": "stored", "dependencies_status": status}
        for (code, status), name in zip(codes, (B, L), strict=True)
    ]
    found_again = [{**row, "status": "present", "dependencies_status": None} for row in inspected]
    layers = {"layer_versions": INSPECTED["layer_versions"]}
    commits = (
        FLEET,
        INSPECTED,
        {"scopes": [], "packages": inspected, **layers},
        {"scopes": [], "packages": found_again},
    )
    if None in (package, layer):
        commits = FLEET, {"scopes": [], "packages": inspected, **layers}, {"scopes": [], "packages": found_again}
    _, bill, result = await write(commits, function="g")

    assert [item["aggregate"] for item in bill["compositions"]] == ([expected] if expected else [])
    assert result.incomplete == bool(expected)


@pytest.mark.asyncio
async def test_one_function_version(write):
    """A document about one version lists only its content and libraries; an ARN selects it too."""
    text, bill, result = await write(function="f", version="1")

    assert bill["metadata"]["component"]["bom-ref"] == f"{ARN}f:1"
    assert [item["bom-ref"] for item in bill["components"]] == [
        f"sha256:{A}",
        "maven:org.apache.logging.log4j:log4j-core@2.14.1",
        "npm:@s/é@1.0.0",
    ]
    assert [item["ref"] for item in bill["dependencies"]] == [f"{ARN}f:1", f"sha256:{A}"]
    assert (result.functions, result.incomplete) == (1, 0)
    assert (await write(function=f"{ARN}f", version="1"))[0] == text


@pytest.mark.asyncio
async def test_names_are_as_package_urls_have_them(write):
    """Groups are separate from names, and the reference implementation parses each package URL."""
    _, bill, _ = await write()
    libraries = {item["bom-ref"]: item for item in bill["components"] if item["type"] == "library"}
    found = {ref: PackageURL.from_string(item["purl"]) for ref, item in libraries.items() if "purl" in item}

    assert libraries["maven:org.apache.logging.log4j:log4j-core@2.14.1"]["group"] == "org.apache.logging.log4j"
    assert libraries["npm:@s/é@1.0.0"]["group"] == "@s"
    assert "purl" not in libraries["maven:no group@1"]
    assert {(url.type, url.namespace, url.name, url.version) for url in found.values()} == {
        ("maven", "org.apache.logging.log4j", "log4j-core", "2.14.1"),
        ("npm", "@s", "é", "1.0.0"),
        ("pypi", None, "requests", "2.0"),
        ("golang", "github.com/burntsushi", "toml", "v1.0.0"),
        ("gem", None, "no-version", None),
    }


@pytest.mark.asyncio
async def test_the_same_bytes_each_time(write):
    """A dataset has one SBOM; another function version has another serial number."""
    first, again = (await write())[0], (await write())[0]
    numbers = {json.loads((await write(function="f", version=v))[0])["serialNumber"] for v in ("$LATEST", "1")}

    assert first == again
    assert len(numbers) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"function": "ff"}, "--function ff: no such function in the latest snapshot; the nearest names are f, g, i"),
        ({"function": "f'; --"}, "--function f'; --: no such function"),
        ({"function": "f", "version": "7"}, "--version 7: f has $LATEST, 1"),
        ({"version": "1"}, "--version needs --function"),
    ],
)
async def test_wrong_use(write, options, message):
    """The error for a missing function or version names existing ones."""
    with pytest.raises(SettingsError) as raised:
        await write(**options)

    assert str(raised.value).startswith(message)


@pytest.mark.asyncio
async def test_a_name_in_two_regions(write):
    """A name that exists in two Regions is an error that lists both ARNs."""
    elsewhere = {"scopes": [{"region": "us-east-1"}], "functions": [function("f", "$LATEST", "A=", region="us-east-1")]}
    elsewhere["functions"][0]["function_arn"] = ARN.replace("eu-west-1", "us-east-1") + "f"

    with pytest.raises(SettingsError, match="is in several account-regions; give one of arn:aws:lambda:eu-west-1"):
        await write((FLEET, elsewhere, INSPECTED), function="f")


@pytest.mark.asyncio
async def test_nothing_inspected(write):
    """Before the first inspection, the error names the command that makes one."""
    with pytest.raises(RunError, match=r"run: lexport packages .*fleet --inspect$"):
        await write((FLEET,))
