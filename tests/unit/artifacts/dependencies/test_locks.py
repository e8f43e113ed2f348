"""Lock files of Python, .NET, Ruby, PHP and Rust: the function's dependencies, without development ones."""

import orjson
import pytest

from lexport.artifacts.dependencies import cargo, dotnet, php, python, ruby


def dependencies(parse, body, *more):
    """Return the ecosystem, name and version of each dependency."""
    body = body.encode() if isinstance(body, str) else body
    return [(item.ecosystem, item.name, item.version) for item in parse("the/file", body, *more)]


def test_python_locks():
    """Pipenv, Poetry, PDM, uv and pylock: the project's own dependencies, with names normalized by PEP 503."""
    pipfile = orjson.dumps(
        {
            "default": {
                "Zope.Interface": {"version": "==5.4.0"},
                "win": {"version": "==1", "markers": "sys_platform == 'win32'"},
                "repo": {"git": "https://example.org/x.git", "ref": "0123"},
            },
            "develop": {"pytest": {"version": "==8"}},
        }
    )
    poetry = """
[[package]]
name = "A.b"
version = "1.0"
groups = ["main"]
[[package]]
name = "pytest"
version = "8.0"
groups = ["dev"]
[[package]]
name = "old-tool"
version = "1.0"
category = "dev"
[[package]]
name = "repo"
version = "0.1"
[package.source]
type = "git"
url = "https://example.org/x.git"
[[package]]
name = "private"
version = "2.0"
[package.source]
type = "legacy"
url = "https://example.org/simple"
[metadata]
lock-version = "2.0"
"""
    uv = """
version = 1
[[package]]
name = "app"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "a" }, { name = "win", marker = "sys_platform == 'win32'" }]
[package.dev-dependencies]
dev = [{ name = "pytest" }]
[[package]]
name = "a"
version = "1.0"
source = { registry = "https://example.org/simple" }
dependencies = [{ name = "b" }]
[[package]]
name = "b"
version = "2.0"
source = { git = "https://example.org/b.git?rev=0123" }
[[package]]
name = "pytest"
version = "8.0"
source = { registry = "https://example.org/simple" }
[[package]]
name = "win"
version = "1.0"
source = { registry = "https://example.org/simple" }
"""
    pylock = '[[packages]]\nname = "A_b"\nversion = "1.0"\n[[packages]]\nname = "v"\nvcs = {type = "git"}\n'

    assert dependencies(python.read_pipfile_lock, pipfile) == [
        ("pypi", "zope-interface", "5.4.0"),
        ("pypi", "repo", None),
    ]
    assert dependencies(python.read_toml_lock, poetry) == [
        ("pypi", "a-b", "1.0"),
        ("pypi", "repo", None),
        ("pypi", "private", "2.0"),
    ]
    assert dependencies(python.read_toml_lock, uv) == [("pypi", "a", "1.0"), ("pypi", "b", None)]
    assert dependencies(python.read_toml_lock, pylock) == [("pypi", "a-b", "1.0"), ("pypi", "v", None)]


def test_dotnet():
    """A .deps.json yields packages, not the program's own projects, and the files that belong to them."""
    body = orjson.dumps(
        {
            "targets": {
                ".NETCoreApp,Version=v8.0": {"N.Json/12.0.1": {"runtime": {"lib/netstandard2.0/N.Json.dll": {}}}}
            },
            "libraries": {
                "App/1.0.0": {"type": "project"},
                "Newtonsoft.Json/12.0.1": {"type": "package"},
                "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1": {"type": "runtimepack"},
            },
        }
    )

    assert dependencies(dotnet.read_deps, body) == [
        ("nuget", "Newtonsoft.Json", "12.0.1"),
        ("nuget", "Microsoft.NETCore.App.Runtime.linux-x64", "8.0.1"),
    ]
    assert list(dotnet.explained_files(body)) == ["n.json.dll"]


def test_ruby():
    """A Gemfile.lock yields the gems for Linux; gems of repositories and folders have no version."""
    lock = """GIT
  remote: https://example.org/tool.git
  revision: 0123
  specs:
    tool (0.1.0)
      rake

PATH
  remote: ../own
  specs:
    own (1.0)

GEM
  remote: https://rubygems.org/
  specs:
    nokogiri (1.13.0-x86_64-linux)
      racc (~> 1.4)
    nokogiri (1.13.0-arm64-darwin)
    racc (1.6.0)

PLATFORMS
  x86_64-linux

DEPENDENCIES
  nokogiri (= 1.13.0)

BUNDLED WITH
   2.4.0
"""

    assert dependencies(ruby.read_lock, lock) == [
        ("gem", "tool", None),
        ("gem", "own", None),
        ("gem", "nokogiri", "1.13.0"),
        ("gem", "racc", "1.6.0"),
    ]
    for file in ("nokogiri-1.13.0.gemspec", "nokogiri-1.13.0-x86_64-linux.gemspec"):
        (gem,) = ruby.read_specification(f"vendor/bundle/ruby/3.2.0/specifications/{file}", b"")
        assert (gem.name, gem.version) == ("nokogiri", "1.13.0")


def test_composer_and_cargo():
    """Composer's packages without tools, and the crates of a Cargo.lock without the program itself."""
    packages = [{"name": "Monolog/Monolog", "version": "v3.0.0"}, {"name": "me/branch", "version": "dev-main"}]
    expected = [("composer", "monolog/monolog", "3.0.0"), ("composer", "me/branch", None)]
    crates = """
version = 3
[[package]]
name = "app"
version = "0.1.0"
[[package]]
name = "serde"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
[[package]]
name = "fork"
version = "1.0.0"
source = "git+https://example.org/fork#0123"
"""

    assert dependencies(php.read_installed, orjson.dumps(packages)) == expected
    assert dependencies(php.read_installed, orjson.dumps({"packages": packages})) == expected
    assert (
        dependencies(php.read_lock, orjson.dumps({"packages": packages, "packages-dev": [{"name": "x/y"}]})) == expected
    )
    assert dependencies(cargo.read_lock, crates) == [("cargo", "serde", "1.0.0"), ("cargo", "fork", None)]


@pytest.mark.parametrize(
    "body",
    [b"a" + b".a" * 1_000_000 + b" = 1", b"a = " + b"[" * 2_000_000, b"a = " + b"{a=" * 600_000],
)
def test_slow_toml(body):
    """Keys of a million parts and deep nesting raise ValueError at once."""
    with pytest.raises(ValueError):
        list(python.read_toml_lock("p", body))


@pytest.mark.parametrize("body", [b"a\\\n" * 500_000, b"a/" * 1_000_000, b" " * 2_000_000, b"a; " + b"( " * 1_000_000])
def test_slow_requirements(body):
    """Overlong lines are read quickly, or refused."""
    try:
        assert len(dependencies(python.read_requirements, body)) <= 1
    except ValueError:
        return


def test_a_project_of_many_members():
    """A lock file of a workspace with thousands of members is read quickly."""
    members = b"".join(b"[[package]]\nname = 'a%d'\nsource = {virtual = '.'}\n" % number for number in range(5_000))

    assert dependencies(python.read_toml_lock, members) == []
