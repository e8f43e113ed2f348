#!/usr/bin/env bash
# Unit and property tests on the newest CPython of this machine: on the PATH, or among pyenv's versions.
# All tests run on the Python of .venv; where there is no newer one, this says so and is done.
set -euo pipefail
cd "$(dirname "$0")/.."
usual=$(.venv/bin/python -c 'import sys; print(sys.version_info.minor)')
newest=$usual
for candidate in $(compgen -c python3. | grep -xE "python3\.[0-9]+" || true) "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3; do
  minor=$("$candidate" -c 'import sys; i = sys.version_info; print(i.minor if i.releaselevel == "final" else 0)' 2> /dev/null || echo 0)
  if [ "$minor" -gt "$newest" ]; then
    newest=$minor
    python=$candidate
  fi
done
if [ "$newest" = "$usual" ]; then
  echo "this machine has no Python newer than 3.$usual: the unit and property tests ran on 3.$usual alone"
  exit 0
fi
echo "unit and property tests on $("$python" --version)"
environment=build/python3.$newest
"$python" -m venv "$environment"
"$environment/bin/python" -m pip install --quiet --require-hashes -r requirements/dev.txt -r requirements/build.txt
"$environment/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
# Slow tests wait for servers, processes and disks; what differs between two Pythons shows in the fast ones.
tests=(-m "not slow")
[ "${LEXPORT_NEWEST:-}" = whole ] && tests=()
"$environment/bin/python" -m pytest -n 3 --dist worksteal -q "${tests[@]}" tests/unit tests/property
