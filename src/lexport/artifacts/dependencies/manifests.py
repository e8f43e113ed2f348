"""path -> which parser reads it, if any; and which files hold dependencies that nobody here reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from lexport.artifacts.dependencies import cargo, dotnet, maven, npm, php, pnpm, python, ruby, yarn
from lexport.model import Dependency


class Says(Enum):
    """What a manifest speaks of."""

    INSTALLED = auto()  # a library that is there
    LISTED = auto()  # all libraries that are there, be it none
    LOCKED = auto()  # all that was to be installed
    WANTED = auto()  # what the function asks for by name; not what that needs in turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """How a kind of manifest is read: its parser, and whether the head of the file holds all it says.

    ``is_fallback``: believed only where the same archive holds nothing better. ``beside``: the file next to it that
    its parser takes too, if it is there.
    """

    parse: Callable[..., Iterator[Dependency]]
    says: Says = Says.INSTALLED
    is_head_enough: bool = False
    is_fallback: bool = False
    beside: str = ""

    @property
    def is_own(self) -> bool:
        """Tell whether it speaks for the function only where no library brought it."""
        return self.says in (Says.LOCKED, Says.WANTED)


def _locked(parse: Callable[..., Iterator[Dependency]], beside: str = "") -> Manifest:
    return Manifest(parse=parse, says=Says.LOCKED, beside=beside)


_NPM_NAME = r"(?:@[^/]+/)?[^/@.][^/]*"
_IN_NODE_MODULES = rf"(?:.*/)?node_modules/(?:\.pnpm/[^/]+/node_modules/)?{_NPM_NAME}"
_KINDS = (
    (r"(?:.*/)?[^/]+\.dist-info/METADATA", Manifest(parse=python.read_metadata, is_head_enough=True)),
    (r"(?:.*/)?[^/]+\.egg-info(?:/PKG-INFO)?", Manifest(parse=python.read_metadata, is_head_enough=True)),
    (r"(?:.*/)?EGG-INFO/PKG-INFO", Manifest(parse=python.read_metadata, is_head_enough=True)),
    (
        r"(?:.*/)?(?:[^/]*requirements[^/]*|requirements/[^/]+)\.txt",
        Manifest(parse=python.read_requirements, says=Says.WANTED),
    ),
    (r"(?:.*/)?Pipfile\.lock", _locked(python.read_pipfile_lock)),
    (r"(?:.*/)?(?:(?:poetry|pdm|uv)\.lock|pylock(?:\.[^/]+)?\.toml)", _locked(python.read_toml_lock)),
    (rf"{_IN_NODE_MODULES}/package\.json", Manifest(parse=npm.read_package)),
    (r"(?:.*/)?(?:package-lock|npm-shrinkwrap)\.json", _locked(npm.read_lock)),
    (r"(?:.*/)?yarn\.lock", _locked(yarn.read_lock, beside="package.json")),
    (r"(?:.*/)?pnpm-lock\.yaml", _locked(pnpm.read_lock)),
    (r"(?:.*/)?package\.json", Manifest(parse=npm.read_project, says=Says.WANTED)),
    (r"(?:.*/)?META-INF/maven/.*/pom\.properties", Manifest(parse=maven.read_pom_properties, is_head_enough=True)),
    (r"META-INF/MANIFEST\.MF", Manifest(parse=maven.read_manifest, is_head_enough=True, is_fallback=True)),
    (r"(?:.*/)?[^/]+\.deps\.json", Manifest(parse=dotnet.read_deps, says=Says.LISTED)),
    (r"(?:.*/)?(?:Gemfile|gems)\.lock(?:ed)?", _locked(ruby.read_lock)),
    (
        r"(?:.*/)?specifications/(?:default/)?[^/]+\.gemspec",
        Manifest(parse=ruby.read_specification, is_head_enough=True),
    ),
    (r"(?:.*/)?vendor/composer/installed\.json", Manifest(parse=php.read_installed, says=Says.LISTED)),
    (r"(?:.*/)?composer\.lock", _locked(php.read_lock)),
    (r"(?:.*/)?Cargo\.lock", _locked(cargo.read_lock)),
)
_PATTERNS = tuple((re.compile(pattern), manifest) for pattern, manifest in _KINDS)
_LAST_WORDS = re.compile(
    r"(?:METADATA|PKG-INFO|\.egg-info|\.txt|package(?:-lock)?\.json|shrinkwrap\.json|pom\.properties|MANIFEST\.MF|\.lock|"
    r"gems\.locked|pnpm-lock\.yaml|\.toml|\.deps\.json|\.gemspec|installed\.json)\Z"
)
_FOR_TESTS = r"(?:tests?|testing|__tests__|fixtures?|__fixtures__|examples?|samples?|docs?|demos?|benchmarks?)"
_FOR_DEVELOPMENT = re.compile(
    rf"(?:.*/)?{_FOR_TESTS}/.*|(?:.*/)?(?:[^/]*[-_.])?"
    r"(?:dev|devel|develop|development|tests?|testing|docs?|lint|linting|ci|build|mypy|typing|bench|benchmarks?|examples?|tox)"
    r"(?:[-_.][^/]*)?",
    re.IGNORECASE,
)
_OF_LIBRARIES = re.compile(
    r"(?:^|/)(?:node_modules|bower_components|site-packages|dist-packages|gems|vendor|[^/]+\.(?:dist|egg)-info|[^/]+\.egg)/"
)
_TESTS_FOLDER = re.compile(rf"(?:{_NPM_NAME}/)(?:[^/]+/)*{_FOR_TESTS}/(?:[^/]+/)*")
_NOT_READ = re.compile(
    r"(?:.*/)?(?:bun\.lockb?|deno\.lock|conda-lock\.yml|environment\.ya?ml|gradle\.lockfile|packages\.lock\.json|"
    r"packages\.config|mix\.lock|pubspec\.lock|Package\.resolved|shard\.lock|renv\.lock|cpanfile\.snapshot|"
    r"stack\.yaml\.lock|conda-meta/[^/]+\.json|\.pnp\.c?js|[^/]+\.(?:phar|gem|apk|deb|rpm|tar|t[gbx]z|txz|7z|rar|asar|nar)|"
    r"[^/]+\.tar\.(?:gz|bz2|xz|zst|lzma|br))"
)
_ARCHIVES = (".jar", ".war", ".ear", ".aar", ".whl", ".egg", ".pex", ".pyz", ".shiv", ".xar", ".zip", ".nupkg")


def manifest_at(path: str) -> Manifest | None:
    """Tell how the file of this path is read; None for what is no manifest, and for what a library needs for itself."""
    if _LAST_WORDS.search(path) is None:
        return None
    found = next((manifest for pattern, manifest in _PATTERNS if pattern.fullmatch(path)), None)
    if found is None or (found.is_own and (_OF_LIBRARIES.search(path) or _FOR_DEVELOPMENT.fullmatch(path))):
        return None
    return None if _is_of_tests(path) else found


def _is_of_tests(path: str) -> bool:
    """Tell whether a ``node_modules`` lies in a folder of a package's own tests: nothing of it is installed."""
    between = path.split("node_modules/")[1:-1]
    return any(_TESTS_FOLDER.fullmatch(folders) for folders in between)


def requirements_file(path: str) -> Manifest | None:
    """Tell how a file is read that a requirements file includes, whatever it is called; None for development's."""
    manifest = Manifest(parse=python.read_requirements, says=Says.WANTED)
    return None if _OF_LIBRARIES.search(path) or _FOR_DEVELOPMENT.fullmatch(path) else manifest


def is_not_read(path: str) -> bool:
    """Tell whether a file holds dependencies in a form that is not read."""
    return _NOT_READ.fullmatch(path) is not None and _OF_LIBRARIES.search(path) is None


def is_archive(path: str) -> bool:
    """Tell whether a member is itself a zip that may hold dependencies."""
    return path.lower().endswith(_ARCHIVES)


def is_jar(path: str) -> bool:
    """Tell whether a member is an artifact of Maven's kind."""
    return path.lower().endswith((".jar", ".war", ".ear", ".aar"))


def may_be_executable(path: str) -> bool:
    """Tell whether a program may be here: any file without a suffix outside of libraries."""
    return "." not in path.rpartition("/")[2] and _OF_LIBRARIES.search(path) is None
