"""Path of a file -> its parser, if it is a manifest; and which files hold dependencies that no parser reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from lexport.artifacts.dependencies import cargo, dotnet, maven, npm, php, pnpm, python, ruby, yarn
from lexport.model import Dependency


class Claim(Enum):
    """The dependencies that a kind of manifest names."""

    INSTALLED = auto()  # one library that is installed
    LISTED = auto()  # all libraries that are installed, possibly none
    LOCKED = auto()  # all libraries that should be installed
    REQUESTED = auto()  # direct dependencies of the function, without theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestParser:
    """The parser of one kind of manifest, and how to use it.

    ``is_head_enough``: the first bytes of the file hold everything. ``is_fallback``: used only where the same archive
    holds no other manifest. ``sibling``: a file in the same folder that the parser also takes, if it exists.
    """

    parse: Callable[..., Iterator[Dependency]]
    claim: Claim = Claim.INSTALLED
    is_head_enough: bool = False
    is_fallback: bool = False
    sibling: str = ""

    @property
    def is_request(self) -> bool:
        """Whether the manifest names dependencies that should be installed; it is skipped inside a library."""
        return self.claim in (Claim.LOCKED, Claim.REQUESTED)


def _locked(parse: Callable[..., Iterator[Dependency]], sibling: str = "") -> ManifestParser:
    return ManifestParser(parse=parse, claim=Claim.LOCKED, sibling=sibling)


_NPM_NAME = r"(?:@[^/]+/)?[^/@.][^/]*"
_IN_NODE_MODULES = rf"(?:.*/)?node_modules/(?:\.pnpm/[^/]+/node_modules/)?{_NPM_NAME}"
_KINDS = (
    (r"(?:.*/)?[^/]+\.dist-info/METADATA", ManifestParser(parse=python.read_metadata, is_head_enough=True)),
    (r"(?:.*/)?[^/]+\.egg-info(?:/PKG-INFO)?", ManifestParser(parse=python.read_metadata, is_head_enough=True)),
    (r"(?:.*/)?EGG-INFO/PKG-INFO", ManifestParser(parse=python.read_metadata, is_head_enough=True)),
    (
        r"(?:.*/)?(?:[^/]*requirements[^/]*|requirements/[^/]+)\.txt",
        ManifestParser(parse=python.read_requirements, claim=Claim.REQUESTED),
    ),
    (r"(?:.*/)?Pipfile\.lock", _locked(python.read_pipfile_lock)),
    (r"(?:.*/)?(?:(?:poetry|pdm|uv)\.lock|pylock(?:\.[^/]+)?\.toml)", _locked(python.read_toml_lock)),
    (rf"{_IN_NODE_MODULES}/package\.json", ManifestParser(parse=npm.read_package)),
    (r"(?:.*/)?(?:package-lock|npm-shrinkwrap)\.json", _locked(npm.read_lock)),
    (r"(?:.*/)?yarn\.lock", _locked(yarn.read_lock, sibling="package.json")),
    (r"(?:.*/)?pnpm-lock\.yaml", _locked(pnpm.read_lock)),
    (r"(?:.*/)?package\.json", ManifestParser(parse=npm.read_project, claim=Claim.REQUESTED)),
    (
        r"(?:.*/)?META-INF/maven/.*/pom\.properties",
        ManifestParser(parse=maven.read_pom_properties, is_head_enough=True),
    ),
    (r"META-INF/MANIFEST\.MF", ManifestParser(parse=maven.read_manifest, is_head_enough=True, is_fallback=True)),
    (r"(?:.*/)?[^/]+\.deps\.json", ManifestParser(parse=dotnet.read_deps, claim=Claim.LISTED)),
    (r"(?:.*/)?(?:Gemfile|gems)\.lock(?:ed)?", _locked(ruby.read_lock)),
    (
        r"(?:.*/)?specifications/(?:default/)?[^/]+\.gemspec",
        ManifestParser(parse=ruby.read_specification, is_head_enough=True),
    ),
    (r"(?:.*/)?vendor/composer/installed\.json", ManifestParser(parse=php.read_installed, claim=Claim.LISTED)),
    (r"(?:.*/)?composer\.lock", _locked(php.read_lock)),
    (r"(?:.*/)?Cargo\.lock", _locked(cargo.read_lock)),
)
_PATTERNS = tuple((re.compile(pattern), parser) for pattern, parser in _KINDS)
_SUFFIXES = re.compile(
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


def parser_for(path: str) -> ManifestParser | None:
    """Return the parser of the file at this path; None for other files, and for a library's own requirements."""
    if _SUFFIXES.search(path) is None:
        return None
    parser = next((parser for pattern, parser in _PATTERNS if pattern.fullmatch(path)), None)
    if parser is None or (parser.is_request and (_OF_LIBRARIES.search(path) or _FOR_DEVELOPMENT.fullmatch(path))):
        return None
    between = path.split("node_modules/")[1:-1]  # nothing is installed in a package's own tests
    return None if any(_TESTS_FOLDER.fullmatch(folders) for folders in between) else parser


def requirements_parser(path: str) -> ManifestParser | None:
    """Return the parser of a file that a requirements file includes; None for development and library files."""
    parser = ManifestParser(parse=python.read_requirements, claim=Claim.REQUESTED)
    return None if _OF_LIBRARIES.search(path) or _FOR_DEVELOPMENT.fullmatch(path) else parser


def is_not_read(path: str) -> bool:
    """Return whether a file holds dependencies in a format that no parser reads."""
    return _NOT_READ.fullmatch(path) is not None and _OF_LIBRARIES.search(path) is None


def is_archive(path: str) -> bool:
    """Return whether a member is itself a ZIP file that may hold dependencies."""
    return path.lower().endswith(_ARCHIVES)


def is_jar(path: str) -> bool:
    """Return whether a member is a Maven artifact."""
    return path.lower().endswith((".jar", ".war", ".ear", ".aar"))


def may_be_executable(path: str) -> bool:
    """Return whether a file may be a program: it has no suffix and is not in a library."""
    return "." not in path.rpartition("/")[2] and _OF_LIBRARIES.search(path) is None
