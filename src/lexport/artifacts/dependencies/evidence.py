"""The files of one archive and the manifests in it -> the code that no manifest explains.

A list of dependencies is complete only if every library is on it. So code in a folder of libraries must belong to one
of them: a Python package to a distribution, a folder in ``node_modules`` to its package.json, a native library to
either. Files at the root of an archive, and JavaScript outside ``node_modules``, count as the function's own code.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from posixpath import dirname, join, normpath

from lexport.artifacts.dependencies.manifests import is_not_read
from lexport.artifacts.dependencies.purl import python_name
from lexport.model import Dependency

_MAX_NAMES = 50_000  # kept of each kind; a package with more is never reported as complete
_BUNDLE_BYTES = 100_000  # larger scripts are probably bundles, not written by hand
_NPM = re.compile(r"(?:^|/)node_modules/(?:\.pnpm/[^/]+/node_modules/)?(?P<name>(?:@[^/]+/)?[^/@.][^/]*)(?=/)")
_KINDS = (  # the first match applies; its name is what a manifest has to explain
    ("gem", re.compile(r"(?:.*/)?(?:gems|extensions/[^/]+/[^/]+)/(?P<name>[^/]+-\d[^/]*)/.*")),
    ("composer", re.compile(r"(?:.*/)?vendor/(?!composer/|bin/)(?P<name>[^/]+/[^/]+)/.*\.php")),
    ("python", re.compile(r"(?:(?P<name>.*)/)?[^/]+\.(?:py|pyc|pyd)")),
    ("native", re.compile(r"(?P<name>.*\.(?:so(?:\.\d+)*|node|dylib|wasm))")),
    ("class", re.compile(r"(?P<name>.*)/[^/]+\.class")),
    ("assembly", re.compile(r"(?P<name>.*\.dll)", re.IGNORECASE)),
    ("script", re.compile(r"(?P<name>.*\.[cm]?js)")),
)
_WIDE = {"com", "org", "net", "io", "dev", "edu", "gov", "de", "uk", "fr", "me", "co", "eu", "ch", "javax", "jakarta"}
"""First parts of Java packages that many owners share; there, two parts name the owner."""


class Evidence:
    """Collects the files and dependencies of one archive; ``unexplained`` then yields the code of unknown origin."""

    def __init__(self) -> None:
        self._names: defaultdict[str, dict[str, None]] = defaultdict(dict)  # kind -> names, in the order of the archive
        self._is_overfull = False
        self._npm_packages: set[int] = set()  # hashes of folders with a package.json: up to 100,000
        self._sites: set[str] = set()  # folders that Python distributions are installed into
        self._recorded: set[int] = set()  # hashes of folders in RECORD files, and of files directly in a site
        self._top_level: set[tuple[str, str]] = set()  # a site, and a name in it; of distributions without RECORD
        self._dependencies: set[tuple[str, str]] = set()  # ecosystem and name
        self._gem_files: set[str] = set()
        self._explained_files: set[str] = set()  # names of files that belong to a .NET program

    def add_file(self, path: str, size_bytes: int | None) -> None:
        """Add one file of the archive."""
        if "node_modules/" in path:
            self._add_npm_file(path)
            return
        kind, name = next(
            ((kind, match["name"] or "") for kind, pattern in _KINDS if (match := pattern.fullmatch(path))), ("", "")
        )
        if kind == "class":
            name = _class_root(name)
        if kind == "python":
            name = _without_cache(name)
        if kind == "script" and (size_bytes or 0) <= _BUNDLE_BYTES:
            return
        if not kind and is_not_read(path):
            kind, name = "unread", path
        if name:
            self._keep(kind, name)

    def _add_npm_file(self, path: str) -> None:
        end, match = 0, _NPM.search(path)
        while match:
            end = match.end()
            match = _NPM.match(path, end)
        folder = path[:end]
        if path[end:] == "/package.json":
            self._npm_packages.add(hash(folder))
            self._names["npm"].pop(folder, None)
        elif folder and hash(folder) not in self._npm_packages:
            self._keep("npm", folder)

    def _keep(self, kind: str, name: str) -> None:
        if len(self._names[kind]) < _MAX_NAMES:
            self._names[kind][name] = None
        else:
            self._is_overfull = True

    def add_dependency(self, item: Dependency) -> None:
        """Add an installed library, and the folder that its manifest's path gives."""
        self._dependencies.add((item.ecosystem, item.name))
        path = item.path.rpartition("!/")[2]
        if item.ecosystem == "pypi":
            info = dirname(path) if path.endswith(("/PKG-INFO", "/METADATA")) else path
            self._sites.add(dirname(info))
            self._top_level.add((dirname(info), "*" if info.endswith("EGG-INFO") else item.name))
        elif item.ecosystem == "gem":
            self._gem_files.add(path.rpartition("/")[2].removesuffix(".gemspec"))

    def add_record(self, path: str, lines: Iterable[str]) -> None:
        """Add the folders that the RECORD file at this path names."""
        site = dirname(dirname(path))
        for line in lines:
            name = line.split(",", maxsplit=1)[0].strip('"')
            is_script = "../bin/" in name  # where pip --target puts scripts
            file = normpath(join(site, "bin/" + name.rpartition("/")[2] if is_script else name))
            folder = _without_cache(dirname(file))
            self._recorded.add(hash(file if is_script or folder == site else folder))

    def add_top_level(self, path: str, lines: Iterable[str]) -> None:
        """Add the names in the file ``top_level.txt`` at this path."""
        self._top_level.update((dirname(dirname(path)), line.strip()) for line in lines)

    def add_explained_files(self, names: Iterable[str]) -> None:
        """Add the names of files that belong to a .NET program."""
        self._explained_files.update(names)

    def is_of_library(self, path: str) -> bool:
        """Return whether a file belongs to an installed Python distribution or is in a folder of one."""
        return hash(path) in self._recorded or self._is_distributed(dirname(path))

    def _is_distributed(self, folder: str) -> bool:
        if folder and hash(folder) in self._recorded:
            return True
        parts = folder.split("/") if folder else []
        for depth, top in enumerate(parts):
            site = "/".join(parts[:depth])
            if site in self._sites and not {(site, top), (site, python_name(top)), (site, "*")}.isdisjoint(
                self._top_level
            ):
                return True
        return False

    def unexplained(self, *, is_locked: bool) -> Iterator[str]:
        """Yield a message for each piece of unexplained code. ``is_locked``: a lock file explains bundled scripts."""
        if self._is_overfull:
            yield f"more than {_MAX_NAMES:,} folders or files of code"
        own = self._sites | {join(site, "bin") for site in self._sites}  # single modules and scripts are not libraries
        for folder in self._names["python"]:
            if folder not in own and not self._is_distributed(folder):
                yield f"{folder[:200]!r} holds Python code of no distribution that is named"
        yield from self._unexplained_packages()
        yield from self._unexplained_files(is_locked=is_locked)
        yield from self._unexplained_classes()

    def unread(self) -> Iterator[str]:
        """Yield files that hold dependencies in a format that no parser reads."""
        return (path for path in self._names["unread"] if not self.is_of_library(path))

    def _unexplained_packages(self) -> Iterator[str]:
        yield from (f"{folder[:200]!r} has no package.json" for folder in self._names["npm"])
        for name in self._names["gem"]:
            if {name, re.sub(r"(-\d[\w.]*)-.+", r"\1", name)}.isdisjoint(self._gem_files):
                yield f"the gem {name[:200]!r} has no specification"
        for name in self._names["composer"]:
            if ("composer", name.lower()) not in self._dependencies:
                yield f"'vendor/{name[:200]}' is not among the packages that Composer installed"

    def _unexplained_files(self, *, is_locked: bool) -> Iterator[str]:
        messages = {
            "native": "is a native library of unknown origin",
            "assembly": "is an assembly that no .deps.json names",
            "script": "is so large that it may be a bundle of libraries",
        }
        for kind, text in messages.items():
            for path in self._names[kind] if not (is_locked and kind == "script") else ():
                if path.rpartition("/")[2].lower() not in self._explained_files and not self.is_of_library(path):
                    yield f"{path[:200]!r} {text}"

    def _unexplained_classes(self) -> Iterator[str]:
        groups = self._group_roots()
        roots = [root for root in self._names["class"] if root not in groups and root.partition("/")[0] not in groups]
        if len(roots) > 1:  # one of them may be the function's own
            yield f"classes below {roots[0]!r} and {roots[1]!r} belong to no artifact that is named"

    def _group_roots(self) -> set[str]:
        """Return the first part, and the first two parts, of the group of every named Maven artifact."""
        groups = {name.partition(":")[0] for ecosystem, name in self._dependencies if ecosystem == "maven"}
        parts = [group.split(".") for group in groups]
        return {"/".join(names[:2]) for names in parts} | {names[0] for names in parts if names[0] not in _WIDE}


def _class_root(folder: str) -> str:
    """Return the package that identifies the owner of a class: ``org/apache``, ``kotlin``."""
    parts = re.sub(r"^(?:WEB-INF/classes|BOOT-INF/classes|META-INF/versions/\d+)/", "", folder).split("/")
    return "/".join(parts[: 2 if parts[0] in _WIDE else 1])


def _without_cache(folder: str) -> str:
    return folder.removesuffix("__pycache__").rstrip("/")
