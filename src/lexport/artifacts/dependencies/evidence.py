"""The files of one archive, and the manifests read in it -> which code no manifest accounts for.

A list of dependencies is whole only if every library is on it. So code that lies where libraries lie must belong to
one: a Python package to a distribution, a folder in ``node_modules`` to its package.json, a native library to either.
Files at the root of an archive, and JavaScript outside of ``node_modules``, are taken for the function's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from posixpath import dirname, join, normpath

from lexport.artifacts.dependencies.manifests import is_not_read
from lexport.model import Dependency

_MOST = 50_000  # names that are kept of a kind; a package with more is not told whole
_BUNDLE_BYTES = 100_000  # a script of this size was hardly written by hand
_NPM = re.compile(r"(?:^|/)node_modules/(?:\.pnpm/[^/]+/node_modules/)?(?P<name>(?:@[^/]+/)?[^/@.][^/]*)(?=/)")
_KINDS = (  # the first that fits; the name is what a manifest has to account for
    ("gem", re.compile(r"(?:.*/)?(?:gems|extensions/[^/]+/[^/]+)/(?P<name>[^/]+-\d[^/]*)/.*")),
    ("composer", re.compile(r"(?:.*/)?vendor/(?!composer/|bin/)(?P<name>[^/]+/[^/]+)/.*\.php")),
    ("python", re.compile(r"(?:(?P<name>.*)/)?[^/]+\.(?:py|pyc|pyd)")),
    ("native", re.compile(r"(?P<name>.*\.(?:so(?:\.\d+)*|node|dylib|wasm))")),
    ("class", re.compile(r"(?P<name>.*)/[^/]+\.class")),
    ("assembly", re.compile(r"(?P<name>.*\.dll)", re.IGNORECASE)),
    ("script", re.compile(r"(?P<name>.*\.[cm]?js)")),
)
_LONG_ROOTS = {
    "com",
    "org",
    "net",
    "io",
    "dev",
    "edu",
    "gov",
    "de",
    "uk",
    "fr",
    "me",
    "co",
    "eu",
    "ch",
    "javax",
    "jakarta",
}


class Evidence:
    """What is seen of one archive; ``unexplained`` tells at the end what is not accounted for."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, None]] = {}  # names of a kind, in the order they were seen
        self._is_overfull = False
        self._npm_known: set[int] = set()  # hashes: there may be 100,000
        self._sites: set[str] = set()  # folders that Python distributions were installed into
        self._places: set[int] = set()  # hashes of what RECORD files name: folders, and files right in a site
        self._tops: set[tuple[str, str]] = set()  # a site, and a name in it; of distributions without RECORD
        self._known: set[tuple[str, str]] = set()  # ecosystem and name
        self._gem_files: set[str] = set()
        self._files: set[str] = set()  # names of files that a .NET program accounts for

    # --- what is there ------------------------------------------------------------------------------------------------

    def see(self, path: str, size_bytes: int | None) -> None:
        """Take note of one file."""
        if "node_modules/" in path:
            self._see_npm(path)
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

    def _see_npm(self, path: str) -> None:
        end, match = 0, _NPM.search(path)
        while match:
            end = match.end()
            match = _NPM.match(path, end)
        folder = path[:end]
        if path[end:] == "/package.json":
            self._npm_known.add(hash(folder))
            self._seen.get("npm", {}).pop(folder, None)
        elif folder and hash(folder) not in self._npm_known:
            self._keep("npm", folder)

    def _keep(self, kind: str, name: str) -> None:
        names = self._seen.setdefault(kind, {})
        if len(names) < _MOST:
            names[name] = None
        else:
            self._is_overfull = True

    # --- what accounts for it -----------------------------------------------------------------------------------------

    def account(self, found: Dependency) -> None:
        """Take note of a library that is there, and of the place its manifest gives it."""
        self._known.add((found.ecosystem, found.name))
        path = found.path.rpartition("!/")[2]
        if found.ecosystem == "pypi":
            place = dirname(path) if path.endswith(("/PKG-INFO", "/METADATA")) else path
            self._sites.add(dirname(place))
            if place.endswith("EGG-INFO"):
                self._tops.add((dirname(place), "*"))
            else:
                self._tops.add((dirname(place), found.name))
        elif found.ecosystem == "gem":
            self._gem_files.add(path.rpartition("/")[2].removesuffix(".gemspec"))

    def account_record(self, path: str, lines: Iterable[str]) -> None:
        """Take note of the folders that the RECORD file at this path names."""
        site = dirname(dirname(path))
        for line in lines:
            name = line.split(",", maxsplit=1)[0].strip('"')
            is_script = "../bin/" in name  # pip puts them beside with --target
            file = normpath(join(site, "bin/" + name.rpartition("/")[2] if is_script else name))
            folder = _without_cache(dirname(file))
            self._places.add(hash(file if is_script or folder == site else folder))

    def account_tops(self, path: str, lines: Iterable[str]) -> None:
        """Take note of the names in the file ``top_level.txt`` at this path."""
        self._tops.update((dirname(dirname(path)), line.strip()) for line in lines)

    def account_files(self, names: Iterable[str]) -> None:
        """Take note of files, by name, that a .NET program accounts for."""
        self._files.update(names)

    def is_of_library(self, path: str) -> bool:
        """Tell whether a file belongs to an installed Python distribution, or lies in a folder of one."""
        return hash(path) in self._places or self._is_distributed(dirname(path))

    def _is_distributed(self, folder: str) -> bool:
        if folder and hash(folder) in self._places:
            return True
        parts = folder.split("/") if folder else []
        for depth, top in enumerate(parts):
            site = "/".join(parts[:depth])
            if site in self._sites and not {(site, top), (site, _normal(top)), (site, "*")}.isdisjoint(self._tops):
                return True
        return False

    # --- what is left -------------------------------------------------------------------------------------------------

    def unexplained(self, *, is_locked: bool) -> Iterator[str]:
        """Yield what no manifest accounts for, in words. ``is_locked``: a lock file names what a script may hold."""
        if self._is_overfull:
            yield f"more than {_MOST:,} folders or files of code"
        own = self._sites | {join(site, "bin") for site in self._sites}  # scripts, and modules that are no package
        for folder in self._of("python"):
            if folder not in own and not self._is_distributed(folder):
                yield f"{folder[:200]!r} holds Python code of no distribution that is named"
        yield from self._strange_packages()
        yield from self._strange_files(is_locked=is_locked)
        yield from self._strange_classes()

    def unread(self) -> Iterator[str]:
        """Yield files that hold dependencies in a form that is not read."""
        return (path for path in self._of("unread") if not self.is_of_library(path))

    def _of(self, kind: str) -> Iterable[str]:
        return self._seen.get(kind, ())

    def _strange_packages(self) -> Iterator[str]:
        yield from (f"{folder[:200]!r} has no package.json" for folder in self._of("npm"))
        for name in self._of("gem"):
            if not self._is_known_gem(name):
                yield f"the gem {name[:200]!r} has no specification"
        for name in self._of("composer"):
            if ("composer", name.lower()) not in self._known:
                yield f"'vendor/{name[:200]}' is not among the packages that Composer installed"

    def _strange_files(self, *, is_locked: bool) -> Iterator[str]:
        words = {
            "native": "is a native library of unknown origin",
            "assembly": "is an assembly that no .deps.json names",
            "script": "is so large that it may be a bundle of libraries",
        }
        for kind, text in words.items():
            for path in self._of(kind) if not (is_locked and kind == "script") else ():
                if path.rpartition("/")[2].lower() not in self._files and not self.is_of_library(path):
                    yield f"{path[:200]!r} {text}"

    def _strange_classes(self) -> Iterator[str]:
        groups = self._group_roots()
        roots = [root for root in self._of("class") if root not in groups and root.partition("/")[0] not in groups]
        if len(roots) > 1:  # one may be the function's own
            yield f"classes below {roots[0]!r} and {roots[1]!r} belong to no artifact that is named"

    def _is_known_gem(self, name: str) -> bool:
        return name in self._gem_files or re.sub(r"(-\d[\w.]*)-.+", r"\1", name) in self._gem_files

    def _group_roots(self) -> set[str]:
        """Return the first word and the first two words of every group of Maven's that is named."""
        groups = {name.partition(":")[0] for ecosystem, name in self._known if ecosystem == "maven"}
        words = [group.split(".") for group in groups]
        return {"/".join(each[:2]) for each in words} | {each[0] for each in words if each[0] not in _LONG_ROOTS}


def _class_root(folder: str) -> str:
    """Return the package that tells whose a class is: ``org/apache``, ``kotlin``."""
    parts = re.sub(r"^(?:WEB-INF/classes|BOOT-INF/classes|META-INF/versions/\d+)/", "", folder).split("/")
    return "/".join(parts[: 2 if parts[0] in _LONG_ROOTS else 1])


def _without_cache(folder: str) -> str:
    return folder.removesuffix("__pycache__").rstrip("/")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
