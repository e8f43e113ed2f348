"""Count the modules and folders of `src/lexport`, how many floors they make, and the imports between them.

    python benchmarks/imports.py [REVISION] [--arrows]

With REVISION the figures of that revision stand beside those of this checkout. `--arrows` lists every arrow.

A room is what stands directly under `src/lexport`: a module, a folder with all that is in it, and `__init__`. An arrow
leads from a room to another one that it imports at run time, however many modules do; imports inside functions count,
those under `if TYPE_CHECKING` do not. The floors are the longest chain of arrows; rooms in a circle share one. Upward
arrows are those against the order that the project declares: import-linter's layers in `pyproject.toml`, before there
were any the numbers in `tests/test_layout.py`.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = PurePosixPath("src/lexport")
INIT = "__init__"
MOST_LINES = 400


@dataclass(frozen=True)
class Tree:
    """The source of one revision: the text of each module by its path below `src/lexport`."""

    modules: Mapping[PurePosixPath, str]
    declared: Mapping[str, int]  # the floor of a room, where the project declares one

    @cached_property
    def names(self) -> set[str]:
        """Every module and package, dotted, without the leading ``lexport.``; the package itself is empty."""
        return {dotted(path) for path in self.modules}

    @cached_property
    def rooms(self) -> set[str]:
        """Everything directly below the package, and the package's own ``__init__``."""
        return {room(dotted(path)) for path in self.modules}

    @cached_property
    def arrows(self) -> dict[str, set[str]]:
        """The rooms that each room imports."""
        arrows: dict[str, set[str]] = {name: set() for name in self.rooms}
        for path, text in self.modules.items():
            here = room(dotted(path))
            arrows[here] |= {room(name) for name in self.imported(text)} - {here}
        return arrows

    def imported(self, text: str) -> Iterator[str]:
        """Yield the modules of the package that some source imports at run time."""
        for node in run_time_nodes(ast.parse(text)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for name in names:
                if name.partition(".")[0] == "lexport":
                    yield self._nearest(name.partition(".")[2])

    def _nearest(self, name: str) -> str:
        """Return the module itself, or the one that defines the name."""
        while name not in self.names:
            name = name.rpartition(".")[0]
        return name

    @cached_property
    def circles(self) -> list[list[str]]:
        """Rooms that import each other, by way of others or not."""
        reach = {name: set(reachable(self.arrows, name)) for name in self.rooms}
        groups = {frozenset(b for b in reach[a] if a in reach[b]) for a in self.rooms if a in reach[a]}
        return sorted(sorted(group) for group in groups)

    @cached_property
    def floors(self) -> dict[str, int]:
        """The length of the longest chain below each room; a room that imports none is on the first floor."""
        group = {name: name for name in self.rooms} | {name: circle[0] for circle in self.circles for name in circle}
        below: dict[str, set[str]] = {group[name]: set() for name in self.rooms}
        for name, others in self.arrows.items():
            below[group[name]] |= {group[other] for other in others} - {group[name]}
        height: dict[str, int] = {}

        def climb(name: str) -> int:
            if name not in height:
                height[name] = 1 + max(map(climb, below[name]), default=0)
            return height[name]

        return {name: climb(group[name]) for name in self.rooms}

    @cached_property
    def upward(self) -> list[tuple[str, str]]:
        """The arrows against the declared order."""
        floors = self.declared
        return sorted(
            (name, other)
            for name, others in self.arrows.items()
            for other in others
            if name in floors and other in floors and floors[other] > floors[name]
        )


def dotted(path: PurePosixPath) -> str:
    """Return the dotted name of a module below the package."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == INIT else parts)


def room(name: str) -> str:
    """Return the room of a module."""
    return name.partition(".")[0] or INIT


def run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every node that is not below `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from run_time_nodes(node)


def reachable(arrows: Mapping[str, Iterable[str]], start: str) -> Iterator[str]:
    """Yield everything to which arrows lead from a room, the room itself only by way of others."""
    seen: set[str] = set()
    waiting = list(arrows[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            waiting += arrows[name]


# --- where the source comes from ------------------------------------------------------------------------------------


def declared_floors(pyproject: str, layout_test: str) -> dict[str, int]:
    """Return the floors that a project declares: by import-linter, else in a test; none where it declares none."""
    for contract in tomllib.loads(pyproject).get("tool", {}).get("importlinter", {}).get("contracts", ()):
        if contract["type"] == "layers" and contract.get("containers", ["lexport"]) == ["lexport"]:
            layers = contract["layers"]
            return {
                room(part.strip().strip("()").removeprefix("lexport").lstrip(".")): len(layers) - position
                for position, layer in enumerate(layers)
                for part in layer.replace(":", "|").split("|")
            }
    for node in ast.parse(layout_test).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FLOORS":
            floors = ast.literal_eval(node.value)
            return {room(name): floor for name, floor in floors.items() if "." not in name}
    return {}


def read_checkout() -> Tree:
    """Read the checkout that this script stands in."""
    base = CHECKOUT / PACKAGE
    layout_test = CHECKOUT / "tests" / "test_layout.py"
    return Tree(
        modules={PurePosixPath(path.relative_to(base)): path.read_text() for path in sorted(base.rglob("*.py"))},
        declared=declared_floors(
            (CHECKOUT / "pyproject.toml").read_text(), layout_test.read_text() if layout_test.is_file() else ""
        ),
    )


def read_revision(revision: str) -> Tree:
    """Read a revision out of the repository."""
    archive = subprocess.run(["git", "-C", str(CHECKOUT), "archive", revision], check=False, stdout=subprocess.PIPE)
    if archive.returncode:
        sys.exit(f"git archive {revision} failed")
    texts: dict[PurePosixPath, str] = {}
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        for member in files:
            if member.isfile() and member.name.endswith((".py", "pyproject.toml")):
                file = files.extractfile(member)
                assert file is not None
                texts[PurePosixPath(member.name)] = file.read().decode()
    return Tree(
        modules={path.relative_to(PACKAGE): text for path, text in texts.items() if path.is_relative_to(PACKAGE)},
        declared=declared_floors(
            texts[PurePosixPath("pyproject.toml")], texts.get(PurePosixPath("tests/test_layout.py"), "")
        ),
    )


# --- the report -----------------------------------------------------------------------------------------------------


def measures(tree: Tree) -> dict[str, str]:
    """Return every figure with its name."""
    lines = {path: text.count("\n") for path, text in tree.modules.items()}
    long = [path for path, count in lines.items() if count > MOST_LINES]
    folders = {name for name in tree.rooms if any(other.startswith(f"{name}.") for other in tree.names)}
    entries = tree.rooms - {INIT, "__main__"}
    return {
        "entries beside __init__, __main__": f"{len(entries)}",
        "  modules": f"{len(entries - folders)}",
        "  folders": f"{len(folders)}",
        "floors": f"{max(tree.floors.values())}",
        "arrows between rooms": f"{sum(map(len, tree.arrows.values()))}",
        "upward arrows": f"{len(tree.upward)}",
        "circles": f"{len(tree.circles)}",
        "files": f"{len(lines)}",
        "lines": f"{sum(lines.values()):,}",
        f"files above {MOST_LINES} lines": f"{len(long)}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("revision", nargs="?", help="print the figures of this revision beside")
    parser.add_argument("--arrows", action="store_true", help="list every arrow of the checkout")
    asked = parser.parse_args()
    trees = {asked.revision: read_revision(asked.revision)} if asked.revision else {}
    trees["checkout"] = read_checkout()
    columns = {name: measures(tree) for name, tree in trees.items()}
    print(f"{'':<36}" + "".join(f"{name:>12}" for name in columns))
    for measure in columns["checkout"]:
        print(f"{measure:<36}" + "".join(f"{column[measure]:>12}" for column in columns.values()))
    for name, tree in trees.items():
        details = [f"upward: {' -> '.join(arrow)}" for arrow in tree.upward]
        details += [f"circle: {', '.join(circle)}" for circle in tree.circles]
        details += [
            f"{path}: {text.count(chr(10)):,} lines"
            for path, text in tree.modules.items()
            if text.count("\n") > MOST_LINES
        ]
        print("".join(f"\n{name}: {detail}" for detail in details), end="")
    print()
    tree = trees["checkout"]
    for floor in range(max(tree.floors.values()), 0, -1):
        print(f"floor {floor:>2}: {', '.join(sorted(name for name in tree.rooms if tree.floors[name] == floor))}")
    if asked.arrows:
        for name in sorted(tree.arrows):
            print(f"{name} -> {', '.join(sorted(tree.arrows[name]))}")


if __name__ == "__main__":
    main()
