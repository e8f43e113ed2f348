"""Run what the Dockerfile runs in its first stage, in empty folders of this machine, and then the installed command.

No base image is pulled: the Python of this environment takes its place. Users and folders of the image are not made.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dockerfile import ROOT, instructions


def main() -> None:
    """Run the steps; an error of one ends the program."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        source = root / "src"
        environment = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("PIP_", "SSL_")) or name.lower().endswith("_proxy")
        }
        environment |= {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": folder, "LC_ALL": "C.UTF-8"}
        for word, rest in instructions():
            if word == "COPY" and rest.startswith("--from"):
                break
            if word == "COPY":
                *names, to = rest.split()
                for name in names:
                    _copy(ROOT / name, source / to / (name.rpartition("/")[2] if to.endswith("/") else ""))
            elif word == "RUN" and "pip" in rest:
                command = rest.replace("/opt/", f"{root}/opt/")
                print(rest, flush=True)
                subprocess.run(["/bin/sh", "-ec", command], check=True, cwd=source, env=environment)
        for arguments in (["--version"], ["snapshot", "--help"], ["sql", "s3://amzn-s3-demo-bucket/", "--help"]):
            subprocess.run(
                [root / "opt/lexport/bin/lexport", *arguments],
                check=True,
                stdout=subprocess.DEVNULL,
                cwd=folder,
                env=environment,
            )
        extras = "import aiobotocore, obstore, opentelemetry.sdk, uvloop, lexport; print(lexport.__file__)"
        shown = subprocess.run(
            [root / "opt/lexport/bin/python", "-c", extras],
            check=True,
            stdout=subprocess.PIPE,
            cwd=folder,
            env=environment,
        )
        if str(root).encode() not in shown.stdout:
            sys.exit(f"the package is not the one that was installed: {shown.stdout.decode()}")
    print("the steps of the image end with an installed lexport")


def _copy(origin: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if origin.is_dir():
        shutil.copytree(origin, to, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(origin, to)


if __name__ == "__main__":
    main()
