#!/usr/bin/env bash
# Build the source distribution and the wheel, check what an index shows of them, install the wheel alone into a fresh
# environment, and run tests that need the command against it, without src.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$root/.venv/bin/python
cd "$root"
"$python" -m hatchling build --directory "$work/dist" > /dev/null
"$python" -m twine check --strict "$work"/dist/*
# The wheel that an index serves is built from the source distribution.
rm "$work"/dist/*.whl
"$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work/dist" "$work"/dist/*.tar.gz
"$python" -m twine check --strict "$work"/dist/*.whl
cd "$work"
# Every file of the source is in it.
"$python" - "$root" "$work"/dist/*.whl <<'CHECK'
import pathlib, sys, zipfile
root, wheel = sys.argv[1:]
folders = {"src/lexport": "lexport", "sql": "lexport/sql"}
found = ((path.relative_to(pathlib.Path(root, here)), there) for here, there in folders.items() for path in pathlib.Path(root, here).rglob("*"))
names = {f"{there}/{path}" for path, there in found if path.suffix and "__pycache__" not in path.parts}
missing = sorted(names - {*zipfile.ZipFile(wheel).namelist()})
sys.exit(f"the wheel lacks {missing}" if missing else 0)
CHECK
# The environment borrows the locked packages of .venv, which is in the path after its own: src is not.
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --no-deps --no-index "$work"/dist/lexport-*.whl
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir "$work/borrowed"
for entry in "$site"/*; do
  case "$(basename "$entry")" in lexport* | _lexport* | *lexport*.pth) ;; *) ln -s "$entry" "$work/borrowed/" ;; esac
done
echo "$work/borrowed" > "$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/borrowed.pth"
mkdir "$work/empty"
cp -r "$root/tests" "$root/docs" "$root/pyproject.toml" "$work/empty/"
cd "$work/empty"
"$work/venv/bin/python" -c '
import lexport, pathlib, sys
home = pathlib.Path(lexport.__file__).resolve()
sys.exit("the wheel is not what is tested: %s" % home if pathlib.Path(sys.prefix).resolve() not in home.parents else 0)'
LEXPORT_COMMANDS=installed "$work/venv/bin/python" -m pytest -q -p no:cacheprovider -m wheel $(grep -rl mark.wheel tests --include='test_*.py')
