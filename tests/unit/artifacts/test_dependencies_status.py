"""The status of a package's dependencies: complete only if everything was read and explained."""

import io
import json
import random
import struct
import zipfile

import pytest

from lexport.artifacts.archive_limits import ArchiveLimits
from lexport.artifacts.inspect_package import inspect_package


def zipped(files, **more):
    """Zip a tree: path -> text, bytes, or a tree that becomes a nested ZIP file."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as writer:
        for path, content in (files | more).items():
            info = zipfile.ZipInfo(path, (2025, 1, 1, 0, 0, 0))
            info.external_attr, info.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            if path.startswith("*"):
                info.filename, info.external_attr = path[1:], 0o755 << 16
            writer.writestr(info, zipped(content) if isinstance(content, dict) else content)
    return body.getvalue()


@pytest.fixture
def look(tmp_path):
    """Return a function: tree -> status, libraries by name, and codes of problems."""

    def run(files, **limits):
        path = tmp_path / "package.zip"
        path.write_bytes(files if isinstance(files, bytes) else zipped(files))
        rows = []

        def emit(batch):
            rows.extend(batch["package_dependencies"].to_pylist() if "package_dependencies" in batch else ())

        done = inspect_package(path, sha256_hex="ab" * 32, emit=emit, limits=ArchiveLimits(**limits))
        return done.status, {row["name"]: row["version"] for row in rows}, {item.code for item in done.problems}

    return run


def meta(name, version):
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n"


REQUESTS = {
    "requests-2.19.0.dist-info/METADATA": meta("requests", "2.19.0"),
    "requests-2.19.0.dist-info/RECORD": "requests/__init__.py,,\nrequests/sub/x.py,,\n../../bin/tool,,\nlone.py,,\n",
    "requests/__init__.py": "",
    "requests/sub/x.py": "",
}
POM = "META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties"
LOG4J = {POM: "version=2.14.1\ngroupId=org.apache.logging.log4j\nartifactId=log4j-core\n"}
LOG4J_NAME = "org.apache.logging.log4j:log4j-core"
DEPS = {
    "targets": {
        "net8": {
            "App/1.0": {"runtime": {"App.dll": {}}},
            "Newtonsoft.Json/12.0.1": {"runtime": {"lib/netstandard2.0/Newtonsoft.Json.dll": {}}},
        }
    },
    "libraries": {"App/1.0": {"type": "project"}, "Newtonsoft.Json/12.0.1": {"type": "package"}},
}
ELF = b"\x7fELF" + bytes(5000)


@pytest.mark.parametrize(
    "files",
    [
        REQUESTS | {"handler.py": "import requests", "*bin/tool": ELF, "*run": "#!/bin/sh"},
        {f"python/{path}": text for path, text in REQUESTS.items()} | {"python/lone.py": "", "python/bin/tool.py": ""},
        {"a-1.dist-info/METADATA": meta("a", "1"), "a/__init__.py": "", "handler.py": ""},
        {
            "PyYAML-6.egg-info/PKG-INFO": meta("PyYAML", "6"),
            "PyYAML-6.egg-info/top_level.txt": "_yaml\nyaml\n",
            "yaml/__init__.py": "",
            "_yaml/x.py": "",
        },
        {
            "requests-2.19.0-py3.11.egg/EGG-INFO/PKG-INFO": meta("requests", "2"),
            "requests-2.19.0-py3.11.egg/r/x.py": "",
        },
        REQUESTS | {"requirements.txt": "Requests>=2"},
        REQUESTS | {"requests/fonts.zip": {"a.ttf": "x"}, "requests/data.tar.gz": "x", "requests/c.so": "x"},
        REQUESTS
        | {"requests/requirements.txt": "nose==1.0\n", "tests/requirements.txt": "x==1", "requirements-dev.txt": "y"},
        {"node_modules/a/package.json": '{"name":"a","version":"1.0.0"}', "node_modules/a/x.js": "", "index.mjs": ""},
        {
            "node_modules/a/package.json": '{"name":"a"}',
            "node_modules/a/b.node": "x",
            "node_modules/a/t/yarn.lock": "?",
        },
        {"lib/log4j-core.jar": LOG4J, "com/acme/Handler.class": "x"},
        {"lib/commons-io-2.11.0.jar": {"org/apache/X.class": "x"}},
        {"App.deps.json": json.dumps(DEPS), "App.dll": "MZ", "Newtonsoft.Json.dll": "MZ"},
        {
            "vendor/bundle/ruby/3.2.0/specifications/rack-3.0.0.gemspec": "",
            "vendor/bundle/ruby/3.2.0/gems/rack-3.0.0/lib/rack.rb": "",
            "vendor/bundle/ruby/3.2.0/extensions/x86_64-linux/3.2.0/rack-3.0.0/r.so": "",
            "Gemfile.lock": "GEM\n  specs:\n    rack (3.0.0)\n",
        },
        {
            "vendor/composer/installed.json": '{"packages":[{"name":"a/b","version":"1.0.0"}]}',
            "vendor/a/b/src/x.php": "",
            "vendor/composer/autoload.php": "",
            "index.php": "",
        },
        {"package-lock.json": '{"lockfileVersion":3,"packages":{"":{"name":"app"}}}', "index.js": ""},
    ],
)
def test_complete(look, files):
    """A manifest names every library, and every file was read: complete."""
    status, _, codes = look(files)

    assert (status, codes) == ("complete", set())


@pytest.mark.parametrize(
    "files",
    [
        {"index.js": "// bundled by esbuild\n"},
        {"requests/__init__.py": "", "urllib3/__init__.py": "", "app.py": "import requests"},
        {"*bootstrap": ELF},
        {"App.dll": "MZ", "libfoo.so": "x"},
        {"com/acme/Handler.class": "x", "META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n"},
        {"requirements.txt": "# nothing\n", "handler.py": ""},
        {"package.json": '{"name": "app"}', "index.js": ""},
        {"index.php": "", "lib/x.rb": ""},
        {},
    ],
)
def test_unknown(look, files):
    """Without a manifest the libraries are unknown, which is no problem."""
    assert look(files) == ("unknown", {}, set())


@pytest.mark.parametrize(
    ("files", "code"),
    [
        # Python
        (REQUESTS | {"urllib3/__init__.py": ""}, "unknown_origin"),
        (REQUESTS | {"a/b/c.py": ""}, "unknown_origin"),
        (REQUESTS | {"native.so": "x"}, "unknown_origin"),
        ({f"python/{path}": text for path, text in REQUESTS.items()} | {"python/idna/x.py": ""}, "unknown_origin"),
        ({"PyYAML-6.dist-info/METADATA": meta("PyYAML", "6"), "yaml/x.py": ""}, "unknown_origin"),
        (REQUESTS | {"requirements.txt": "boto3"}, "not_installed"),
        (REQUESTS | {"requirements.txt": "-r more.txt"}, "not_installed"),
        (REQUESTS | {"requirements.txt": "https://example.org/latest"}, "bad_manifest"),
        (REQUESTS | {"poetry.lock": '[[package]]\nname="x"\nversion="1"'}, "not_installed"),
        (REQUESTS | {"a-1.dist-info/METADATA": "no headers"}, "bad_manifest"),
        # Node
        ({"node_modules/a/package.json": '{"name":"a"}', "node_modules/b/index.js": ""}, "unknown_origin"),
        ({"node_modules/a/package.json": '{"name":"a"}', "node_modules/@s/b/index.js": ""}, "unknown_origin"),
        ({"node_modules/a/package.json": '{"name":"a"}', "node_modules/a/node_modules/c/x.js": ""}, "unknown_origin"),
        ({"node_modules/a/package.json": '{"name":"a"}', "index.js": "x" * 200_000}, "unknown_origin"),
        ({"node_modules/a/package.json": '{"name":"a"}', "bin/x.node": "x"}, "unknown_origin"),
        (
            {"node_modules/a/package.json": '{"name":"a"}', "package.json": '{"dependencies":{"b":"1"}}'},
            "not_installed",
        ),
        ({"node_modules/bad/package.json": '{"name":"bad"'}, "bad_manifest"),
        ({"npm-shrinkwrap.json": '{"packages":{"node_modules/left-pad":{"version":"1.3.0"}}}'}, "not_installed"),
        ({"yarn.lock": "what is this"}, "bad_manifest"),
        ({"pnpm-lock.yaml": "packages: [\n"}, "bad_manifest"),
        ({"bun.lockb": "x", "node_modules/a/package.json": '{"name":"a"}'}, "not_read"),
        # jars
        ({"lib/app.jar": {"x.txt": ""}, "lib/l.jar": LOG4J}, "unknown_origin"),
        (LOG4J | {"com/acme/X.class": "x", "okhttp3/Y.class": "x"}, "unknown_origin"),
        ({"lib/no-1.0.jar": "not a zip"}, "not_a_zip"),
        ({"a-1.jar": {"b-1.jar": {"c-1.jar": {"d-1.jar": {"x": ""}}}}}, "too_deep"),
        # others
        ({"App.deps.json": json.dumps(DEPS), "Other.dll": "MZ"}, "unknown_origin"),
        ({"Gemfile.lock": "GEM\n  specs:\n    nokogiri (1.8.0)\n"}, "not_installed"),
        ({"specifications/a-1.gemspec": "", "gems/b-1.0/lib/b.rb": ""}, "unknown_origin"),
        ({"vendor/composer/installed.json": "[]", "vendor/x/y/z.php": ""}, "unknown_origin"),
        (REQUESTS | {"*bin/other": ELF, "*bin/tool": ELF}, "unknown_origin"),
        (REQUESTS | {"*server": ELF}, "unknown_origin"),
        (REQUESTS | {"deps.tar.gz": "x"}, "not_read"),
        (REQUESTS | {"conda-meta/x.json": "{}"}, "not_read"),
        (REQUESTS | {"gradle.lockfile": ""}, "not_read"),
    ],
)
def test_incomplete(look, files, code):
    """An unread file, or code in a folder of libraries that no manifest explains, is a problem."""
    status, _, codes = look(files)

    assert (status, codes) == ("incomplete", {code})


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({".requirements.zip": REQUESTS, "handler.py": "", "unzip_requirements.py": ""}, {"requests": "2.19.0"}),
        ({"app.pex": {f".deps/r.whl/{path}": text for path, text in REQUESTS.items()}}, {"requests": "2.19.0"}),
        ({"app.pex": {".deps/requests-2.19.0-py3-none-any.whl": REQUESTS}}, {"requests": "2.19.0"}),
        ({"requests-2.19.0-py3.11.egg": {"EGG-INFO/PKG-INFO": meta("requests", "2.19.0")}}, {"requests": "2.19.0"}),
        ({"requests-2.19.0.egg-info": meta("requests", "2.19.0")}, {"requests": "2.19.0"}),
        ({"lib/app-1.0.jar": {"BOOT-INF/lib/log4j-core-2.14.1.jar": LOG4J}}, {LOG4J_NAME: "2.14.1", "app": "1.0"}),
        ({"a.ear": {"b.war": {"WEB-INF/lib/x.jar": LOG4J}}}, {LOG4J_NAME: "2.14.1"}),
        (
            {".yarn/cache/a-npm-1.0.0-0123.zip": {"node_modules/a/package.json": '{"name":"a","version":"1.0.0"}'}},
            {"a": "1.0.0"},
        ),
        (LOG4J, {LOG4J_NAME: "2.14.1"}),
    ],
)
def test_nested_archives(look, files, expected):
    """Nested archives are read, four levels deep."""
    assert look(files)[1] == expected


def test_installed_libraries_are_listed_once(look):
    """An installed library has its installed version; other libraries have the requested one."""
    files = REQUESTS | {
        "requirements.txt": "Requests==2.18.0\nfoo--bar__baz==1.0\nunpinned>=2\n-r more/base.txt\n-r dev.txt",
        "more/base.txt": "in.base==3\n",
        "dev.txt": "pytest==8\n",
        "node_modules/a/package.json": '{"name":"a","version":"1.0.1"}',
        "package-lock.json": json.dumps(
            {
                "packages": {
                    "node_modules/a": {"version": "1.0.0"},
                    "node_modules/b": {"version": "2.0.0"},
                    "node_modules/fsevents": {"version": "2.3.0", "optional": True, "os": ["darwin"]},
                    "node_modules/jest": {"version": "29.0.0", "dev": True},
                }
            }
        ),
    }

    assert look(files) == (
        "incomplete",
        {"requests": "2.19.0", "a": "1.0.1", "b": "2.0.0", "foo-bar-baz": "1.0", "unpinned": None, "in-base": "3"},
        {"not_installed"},
    )


def test_a_lock_file_beside_its_project(look):
    """yarn.lock names development packages too; the package.json in its folder decides."""
    lock = '# yarn lockfile v1\n\na@^1:\n  version "1.0.0"\n\njest@^29:\n  version "29.0.0"\n'
    project = '{"dependencies": {"a": "^1"}, "devDependencies": {"jest": "^29"}}'

    assert look({"yarn.lock": lock, "package.json": project})[1] == {"a": "1.0.0"}


def test_an_unsupported_compression_method(look):
    """A manifest with an unsupported compression method is a problem and no library."""
    body = bytearray(zipped({"a-1.dist-info/METADATA": meta("a", "1")}))
    struct.pack_into("<H", body, body.rfind(b"PK\x01\x02") + 10, 93)
    struct.pack_into("<H", body, 8, 93)

    assert look(bytes(body)) == ("incomplete", {}, {"unknown_method"})


@pytest.mark.parametrize(
    "limits", [{"entries": 2}, {"inflated_bytes": 10}, {"seconds": -1}, {"depth": 1}, {"nested_bytes": 9}]
)
def test_a_limit_is_never_complete(look, limits):
    """A package whose inspection a limit ended is never complete."""
    assert look({"x.zip": REQUESTS} | REQUESTS, **limits)[0] == "incomplete"


def test_nested_archives_share_a_budget(look):
    """Nested archives in memory together stay below the limit."""
    noise = random.Random(1).randbytes(10_000)
    inner = {"b-1.jar": {"c-1.jar": {"x": noise}, "y": noise}, "z": noise}
    size = len(zipped(inner))

    assert look({"a-1.jar": inner}, nested_bytes=size * 3)[2] == set()
    assert look({"a-1.jar": inner}, nested_bytes=size)[2] == {"too_large"}
    assert look({"a-1.jar": inner, "b-1.jar": inner, "c-1.jar": inner}, nested_bytes=size * 3)[2] == set()
