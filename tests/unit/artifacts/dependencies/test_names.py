"""Names and versions are normalized as each ecosystem compares them."""

import codecs

import orjson
import pytest

from lexport.artifacts.dependencies.golang import read_executable
from lexport.artifacts.dependencies.markers import may_hold
from lexport.artifacts.dependencies.maven import name_of_jar, read_manifest, read_pom_properties, read_properties
from lexport.artifacts.dependencies.npm import read_lock, read_package, read_project
from lexport.artifacts.dependencies.purl import dependency, exact_version, purl
from lexport.artifacts.dependencies.python import included_files, read_metadata, read_requirements


def found(parse, body, path="the/file"):
    """Return the name and version of each dependency."""
    return [(item.name, item.version) for item in parse(path, body)]


@pytest.mark.parametrize(
    ("ecosystem", "name", "expected"),
    [
        ("pypi", "zope.interface", "zope-interface"),
        ("pypi", "Foo--Bar__baz._-x", "foo-bar-baz-x"),
        ("npm", "@Acme/Braces", "@acme/braces"),
        ("composer", "Monolog/Monolog", "monolog/monolog"),
        ("maven", "Org.X:A_b", "Org.X:A_b"),
        ("golang", "github.com/BurntSushi/toml", "github.com/BurntSushi/toml"),
        ("nuget", "Newtonsoft.Json", "Newtonsoft.Json"),
        ("gem", "aws-sdk_s3", "aws-sdk_s3"),
    ],
)
def test_names(ecosystem, name, expected):
    """One library has one name in each ecosystem."""
    assert dependency(ecosystem, name, "1", "p").name == expected


@pytest.mark.parametrize("name", ["", " a", "a ", "a\n", "a\0b", "x" * 513, None, 3, ["a"]])
def test_invalid_names(name):
    """A name with outer blanks or control characters, an overlong one, or a value of another type is no name."""
    assert dependency("npm", name, "1", "p") is None


@pytest.mark.parametrize(
    "text",
    [
        *("${project.version}", "1.0-${revision}", "@VERSION@", "%VERSION%", "{{version}}", "", " ", "unspecified"),
        *("*", "x", "1.x", "1.2.X", "^1.2.3", "~1.2", ">=1", "<2", "1 - 2", "1 || 2", "latest", "(devel)", "undefined"),
        *(
            "git+ssh://git@example.org/a/b.git#0123",
            "file:../x",
            "link:../x",
            "workspace:*",
            "https://example.org/a-1.tgz",
        ),
        *("user/repo#1.0", "npm:a@1.0", None, 1.0, {"strictly": "1.0"}),
    ],
)
def test_invalid_versions(text):
    """Placeholders, ranges, URLs and folders are no versions."""
    assert exact_version(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "1.0.0",
        "v1.2.3+incompatible",
        "1!2.0.post1",
        "2.0.0.Final",
        "r09",
        "Finchley.SR2",
        "31.1-jre",
        "1.0-SNAPSHOT",
    ],
)
def test_versions(text):
    """Versions of real releases are accepted."""
    assert exact_version(text) == text


@pytest.mark.parametrize(
    ("ecosystem", "name", "version", "expected"),
    [
        ("nuget", "Newtonsoft.Json", "12.0.1", "pkg:nuget/Newtonsoft.Json@12.0.1"),
        ("gem", "nokogiri", None, "pkg:gem/nokogiri"),
        ("composer", "monolog/monolog", "3.0.0", "pkg:composer/monolog/monolog@3.0.0"),
        ("cargo", "serde", "1.0.0", "pkg:cargo/serde@1.0.0"),
        ("maven", "x:y", None, "pkg:maven/x/y"),
        ("golang", "example.com/x", None, "pkg:golang/example.com/x"),
    ],
)
def test_purls(ecosystem, name, version, expected):
    """A package URL of an unknown version has none."""
    assert purl(ecosystem, name, version) == expected


# --- aliases ----------------------------------------------------------------------------------------------------------


def test_aliases_of_npm():
    """An alias is resolved to its library: by ``npm:``, by ``name``, and by the installed package."""
    tree = {
        "braces": {"version": "npm:@acme/braces@3.0.2"},
        "bare": {"version": "npm:left-pad"},
        "gitdep": {"version": "git+ssh://git@example.com/a/b.git#0123456789abcdef"},
        "local": {"version": "file:../local"},
    }
    placed = {
        "node_modules/braces": {"name": "@acme/braces", "version": "3.0.2"},
        "node_modules/g": {"version": "1.0.0", "resolved": "git+ssh://git@example.com/a/b.git#0123"},
    }

    assert found(read_lock, orjson.dumps({"dependencies": tree})) == [
        ("@acme/braces", "3.0.2"),
        ("left-pad", None),
        ("gitdep", None),
        ("local", None),
    ]
    assert found(read_lock, orjson.dumps({"packages": placed})) == [("@acme/braces", "3.0.2"), ("g", None)]
    assert found(read_package, b'{"name":"@acme/braces","version":"v3.0.2"}', "node_modules/braces/package.json") == [
        ("@acme/braces", "3.0.2")
    ]


@pytest.mark.parametrize("place", ["node_modules/work", "packages/a/node_modules/work"])
def test_links_of_a_workspace_are_no_dependencies(place):
    """Links in a lock file are the project's own packages."""
    packages = {place: {"resolved": "packages/work", "link": True, "version": "1.0.0"}}

    assert found(read_lock, orjson.dumps({"packages": packages})) == []


def test_an_installed_package_without_a_name():
    """A package.json without name and version is named after its folder."""
    assert found(read_package, b'{"type":"module"}', "a/node_modules/@s/b/package.json") == [("@s/b", None)]


def test_dependencies_of_a_project():
    """The dependencies of package.json are read without development and optional ones; a range is no version."""
    body = b"""{"dependencies": {"a": "^1", "b": "2.0.0", "c": "npm:d@3.0.0", "e": "github:x/y"},
      "devDependencies": {"typescript": "5"}, "optionalDependencies": {"e": "github:x/y"}}"""

    assert found(read_project, body) == [("a", None), ("b", "2.0.0"), ("d", "3.0.0")]


# --- encodings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings(mark, encoding, newline):
    """The encodings of PowerShell, Notepad and old tools are decoded."""

    def write(*lines):
        return mark + newline.join(lines).encode(encoding)

    assert found(read_requirements, write("requests==2.19.0", "idna==3.1")) == [("requests", "2.19.0"), ("idna", "3.1")]
    assert found(read_metadata, write("Name: A", "Version: 1.0", "", "text")) == [("a", "1.0")]
    assert found(read_package, write('{"name": "a",', '"version": "1.0.0"}')) == [("a", "1.0.0")]
    assert found(read_pom_properties, write("groupId=g", "artifactId=a", "version=1")) == [("g:a", "1")]


def test_metadata_in_latin_1():
    """An author's name in another encoding does not affect the name of the distribution."""
    assert found(read_metadata, "Name: a\nAuthor: J\xfcrgen\nVersion: 1\n".encode("latin-1")) == [("a", "1")]


# --- requirements -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("requests==2.19.0", [("requests", "2.19.0")]),
        ("requests ===2.19.0", [("requests", "2.19.0")]),
        ("requests[security,socks]==2.19.0", [("requests", "2.19.0")]),
        ("requests==2.19.0 # why", [("requests", "2.19.0")]),
        ("requests==2.19.0 --hash=sha256:aa --hash=sha256:bb", [("requests", "2.19.0")]),
        ("requests==2.19.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb", [("requests", "2.19.0")]),
        ("requests>=2,==2.19.0", [("requests", "2.19.0")]),
        ("requests (==2.19.0)", [("requests", "2.19.0")]),
        ("requests==2.*", [("requests", None)]),
        ("requests", [("requests", None)]),
        ("requests~=2.19", [("requests", None)]),
        ("requests @ https://example.org/requests-2.19.0-py3-none-any.whl", [("requests", None)]),
        ("-e git+https://example.org/x.git@v1.0#egg=my.lib", [("my-lib", None)]),
        ("git+https://example.org/x.git#subdirectory=y&egg=lib", [("lib", None)]),
        ("./wheels/some_lib-1.2-py3-none-any.whl", [("some-lib", None)]),
        ("pywin32==306; sys_platform == 'win32'", []),
        ("uvloop==0.19.0; sys_platform != 'win32' and python_version >= '3.8'", [("uvloop", "0.19.0")]),
        ("tomli==2.0; python_version < '3.11'", [("tomli", "2.0")]),
        ("# requests==1", []),
        ("-r other.txt", []),
        ("-c constraints.txt", []),
        ("--extra-index-url https://example.org/simple", []),
        ("--only-binary :all:", []),
    ],
)
def test_a_requirement(line, expected):
    """Each form of a line yields the library that pip would install."""
    assert found(read_requirements, line.encode()) == expected


def test_a_requirement_without_a_name():
    """A link without a library name raises ValueError after all other lines are read."""
    items = read_requirements("p", b"a==1\nhttps://example.org/latest\nb==2\n")

    assert [next(items).name, next(items).name] == ["a", "b"]
    with pytest.raises(ValueError):
        next(items)


def test_files_that_requirements_include():
    """``-r`` includes files relative to the folder of the file."""
    body = b"-r base.txt\n--requirement=../x/more.txt\n-c no.txt\n-r https://example.org/far.txt\n"

    assert list(included_files("app/requirements.txt", body)) == ["app/base.txt", "x/more.txt"]


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("sys_platform == 'linux'", True),
        ("platform_system == 'Windows'", False),
        ('os_name == "nt" or sys_platform == "darwin"', False),
        ("(os_name == 'nt' or python_version < '3.9') and sys_platform == 'linux'", True),
        ("(os_name == 'nt' or sys_platform == 'darwin') and python_version < '3.9'", False),
        ("extra == 'test'", False),
        ("platform_machine == 'x86_64'", True),
        ("'linux' in sys_platform", True),
        ("sys_platform not in 'linux'", False),
        ("implementation_name == 'pypy'", False),
        ("python_full_version < '3.11.3'", True),
        ("nonsense (", True),
        ("sys_platform", True),
        ("(" * 5000, True),
        ("os_name == 'nt' " * 5000, True),
    ],
)
def test_markers(marker, expected):
    """Requirements of other platforms are left out; unknown conditions keep theirs."""
    assert may_hold(marker) is expected


# --- Maven and Go -----------------------------------------------------------------------------------------------------


def test_java_properties():
    """Comments, continued lines, escapes and all three separators, as ``java.util.Properties`` reads them."""
    body = b"# no\n! no\ngroupId : org.\\\n   x\nartifactId caf\\u00e9\n version = 1\\:2\nempty\nodd\\\\=1\n"

    assert read_properties(body) == {
        "groupId": "org.x",
        "artifactId": "caf\xe9",
        "version": "1:2",
        "empty": "",
        "odd\\": "1",
    }


@pytest.mark.parametrize("version", ["${project.version}", "@project.version@", "", "unspecified"])
def test_a_placeholder_version(version):
    """A placeholder is no version; the name of the jar may give one."""
    body = f"version={version}\ngroupId=x\nartifactId=y\n".encode()

    assert found(read_pom_properties, body) == [("x:y", None)]
    assert found(read_pom_properties, body, "lib/y-1.2.jar!/META-INF/maven/x/y/pom.properties") == [("x:y", "1.2")]
    assert found(read_pom_properties, body, "lib/z-1.2.jar!/META-INF/maven/x/y/pom.properties") == [("x:y", None)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("lib/commons-io-2.11.0.jar", ("commons-io", "2.11.0")),
        ("lib/guava-31.1-jre.jar", ("guava", "31.1-jre")),
        ("log4j-1.2-api-2.19.0.jar", ("log4j-1.2-api", "2.19.0")),
        ("a.war!/WEB-INF/lib/jackson-core-2.14.1.jar!/META-INF/MANIFEST.MF", ("jackson-core", "2.14.1")),
        ("netty-all-4.1.48.Final.jar", ("netty-all", "4.1.48.Final")),
        ("scala-library_2.13-1.0-SNAPSHOT.jar", ("scala-library_2.13", "1.0-SNAPSHOT")),
        ("app.jar", None),
        ("my-app.jar", None),
        ("commons-io-2.11.0.txt", None),
        ("x/commons-io-2.11.0/classes", None),
    ],
)
def test_the_name_of_a_jar(path, expected):
    """``artifact-version.jar`` gives both, however many numbers it has."""
    assert name_of_jar(path) == expected


def test_the_manifest_of_a_jar():
    """The jar's file name comes first, then the bundle's name and version, then the implementation's."""
    bundle = b"Bundle-SymbolicName: com.google.guava;singleton:=true\nBundle-Version: 31.1.0.jre\n"
    titled = b"Implementation-Title: t\nImplementation-Version: 1.0\nImplementation-Vendor-Id: org.x\n"

    assert found(read_manifest, bundle) == [("com.google.guava", "31.1.0.jre")]
    assert found(read_manifest, titled + bundle, "x.jar!/META-INF/MANIFEST.MF") == [("com.google.guava", "31.1.0.jre")]
    assert found(read_manifest, titled, "x.jar!/META-INF/MANIFEST.MF") == [("org.x:t", "1.0")]
    assert found(read_manifest, titled, "lib/y-2.0.jar!/META-INF/MANIFEST.MF") == [("org.x:y", "2.0")]
    assert found(read_manifest, b"Implementation-Title: t\nImplementation-Version: ${version}\n") == []
    assert found(read_manifest, b"Bundle-SymbolicName: b\nBundle-Version: ${v}\n" + titled) == [("org.x:t", "1.0")]


def test_modules_that_a_folder_replaces():
    """A replacement module has its own name, a folder has none, and (devel) is no version."""
    modules = (
        "dep\texample.com/local\tv1.2.3\n=>\t../local\t(devel)\t\n"
        "dep\texample.com/abs\tv1.0.0\n=>\t/src/abs\t\t\n"
        "dep\texample.com/fork\tv1.0.0\n=>\tgithub.com/me/fork\tv1.0.1\th1:aa=\n"
        "dep\texample.com/work\t(devel)\t\n"
    )
    texts = [b"go1.22.1", b"0" * 16 + modules.encode() + b"1" * 16]
    body = b"\x7fELF".ljust(64, b"\1") + b"\xff Go buildinf:\x08\x02".ljust(32, b"\0")
    for text in texts:
        body += bytes([len(text)] if len(text) < 128 else [len(text) & 0x7F | 0x80, len(text) >> 7]) + text

    assert [(item.name, item.version) for item in read_executable("x", [body])] == [
        ("stdlib", "1.22.1"),
        ("example.com/local", None),
        ("example.com/abs", None),
        ("github.com/me/fork", "v1.0.1"),
        ("example.com/work", None),
    ]
