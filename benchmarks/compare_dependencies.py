"""Compare what ``packages --inspect`` finds in a folder with what the ecosystem's own tool says is there.

    python benchmarks/compare_dependencies.py pip FOLDER     # after: pip install --target FOLDER requests PyYAML ...
    python benchmarks/compare_dependencies.py npm FOLDER     # after: cd FOLDER && npm install express ...
    python benchmarks/compare_dependencies.py maven FOLDER   # after: dpkg -x lib...-java.deb FOLDER, for some packages
    python benchmarks/compare_dependencies.py go FOLDER      # after: go build -o FOLDER/bootstrap

The folder is zipped as a deployment package would be, and inspected. Recall is the share of the tool's list that was
found, precision the share of what was found that is on the tool's list. Every difference is printed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

from lexport.artifacts.inspect_package import inspect_package

Library = tuple[str, str | None]


def zip_folder(folder: Path, target: Path, *, follow: bool) -> None:
    """Zip a folder, links as what they lead to."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as writer:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and (follow or not path.is_symlink()):
                writer.write(path, path.relative_to(folder))


def inspected(package: Path) -> tuple[list[tuple[str, str, str | None, str]], str | None, list[str]]:
    """Return ecosystem, name, version and path of what is found, the status, and the findings."""
    rows: list[tuple[str, str, str | None, str]] = []

    def emit(batch) -> None:
        if "package_dependencies" in batch:
            rows.extend(tuple(row.values())[3:7] for row in batch["package_dependencies"].to_pylist())

    done = inspect_package(package, sha256_hex="00" * 32, emit=emit)
    return rows, done.status, [f"{item.code}: {item.message[76:]}" for item in done.problems]


def pip_list(folder: Path) -> set[Library]:
    """Ask pip what is installed in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--path", folder, "--format", "json"], capture_output=True, check=True
    )
    return {(re.sub(r"[-_.]+", "-", row["name"]).lower(), row["version"]) for row in json.loads(done.stdout)}


def npm_list(folder: Path) -> set[Library]:
    """Ask npm what is installed in a folder."""
    done = subprocess.run(["npm", "ls", "--all", "--json", "--long"], cwd=folder, capture_output=True, check=False)
    found: set[Library] = set()
    waiting = [json.loads(done.stdout)]
    while waiting:
        for item in waiting.pop().get("dependencies", {}).values():
            if item.get("version") and item.get("path") and Path(item["path"]).exists():
                found.add((item["name"].lower(), item["version"]))
            waiting.append(item)
    return found


def maven_list(folder: Path) -> set[Library]:
    """Read Debian's Maven repository: which artifact each jar is that it links to."""
    found: set[Library] = set()
    repository = folder / "usr/share/maven-repo"
    for link in repository.rglob("*.jar"):
        *group, artifact, version = link.relative_to(repository).parent.parts
        if (
            (folder / "usr/share/java" / link.resolve().name).exists()
            and version != "debian"
            and not version.endswith(".x")
        ):
            found.add((f"{'.'.join(group)}:{artifact}", version))
    return found


def go_list(folder: Path) -> set[Library]:
    """Ask Go what a program was built from."""
    done = subprocess.run(["go", "version", "-m", folder / "bootstrap"], capture_output=True, text=True, check=True)
    found: set[Library] = {("stdlib", done.stdout.split(": go")[1].split()[0])}
    last = ""
    for line in done.stdout.splitlines():
        kind, name, version, *_ = [*line.strip().split("\t"), "", "", ""]
        if kind == "dep":
            found.add((name, version))
            last = name
        elif kind == "=>":
            found = {item for item in found if item[0] != last} | {
                (last, None) if name.startswith(".") else (name, version)
            }
    return found


def differences(title: str, items: Iterable[Library]) -> None:
    for name, version in sorted(items, key=str):
        print(f"  {title}: {name} {version or ''}")


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    listed = {"pip": pip_list, "npm": npm_list, "maven": maven_list, "go": go_list}[kind](folder)
    ecosystem = {"pip": "pypi", "npm": "npm", "maven": "maven", "go": "golang"}[kind]
    root = folder / "usr/share/java" if kind == "maven" else folder
    with tempfile.TemporaryDirectory() as temporary:
        package = Path(temporary) / "package.zip"
        zip_folder(root, package, follow=kind != "maven")  # Debian links jars to names without versions
        started_s = time.perf_counter()
        rows, status, findings = inspected(package)
        taken_s = time.perf_counter() - started_s
        print(f"{package.stat().st_size:,} bytes, inspected in {taken_s:.2f} s: {status}")
    found = {(name, version) for each, name, version, _ in rows if each == ecosystem}
    if kind == "maven":
        bare = {name.rpartition(":")[2]: name for name, _ in listed}
        grouped = sum(":" in name for name, _ in found)
        print(f"{grouped} of {len(found)} with their group")
        found = {(bare.get(name, name), version) for name, version in found}
    both = listed & found
    print(f"{kind}: {len(listed)} listed by the tool, {len(found)} found")
    print(f"recall {len(both) / max(1, len(listed)):.3f}, precision {len(both) / max(1, len(found)):.3f}")
    differences("missed", listed - found)
    differences("besides", found - listed)
    for text in findings:
        print(f"  finding: {text}")


if __name__ == "__main__":
    main()
