#!/usr/bin/env bash
# Install Airflow and Dagster, each into an environment of its own below build/, and run the examples of the guides in
# them against a simulated AWS.
set -euo pipefail
cd "$(dirname "$0")/.."
examples=$PWD/docs/guides/examples
for package in apache-airflow==3.3.2 dagster==1.13.29; do
  home=build/schedulers/${package%%==*}
  [ -e "$home/.ready" ] && continue
  .venv/bin/python -m venv "$home"
  "$home/bin/python" -m pip install --quiet "$package"
  touch "$home/.ready"
done
work=$(mktemp -d)
simulator=
trap '[ -z "$simulator" ] || kill "$simulator"; rm -rf "$work"' EXIT
.venv/bin/lexport simulate --functions 3 --no-quotas > "$work/simulator" &
simulator=$!
for _ in $(seq 100); do grep -q '^URL' "$work/simulator" && break || sleep 0.1; done
export AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_REGION=us-east-1
AWS_ENDPOINT_URL=$(sed -n 's/^URL //p' "$work/simulator")
LEXPORT_HASH_KEY=$(head -c 32 /dev/urandom | base64)
export LEXPORT_HASH_KEY LEXPORT_DEST PATH=$PWD/.venv/bin:$PATH

export AIRFLOW_HOME=$work/airflow AIRFLOW__CORE__DAGS_FOLDER=$examples AIRFLOW__CORE__LOAD_EXAMPLES=False
LEXPORT_DEST=$work/by-airflow
build/schedulers/apache-airflow/bin/airflow db migrate > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
build/schedulers/apache-airflow/bin/python - > "$work/log" 2>&1 <<'RUN' || { cat "$work/log"; exit 1; }
from airflow.dag_processing.dagbag import DagBag

bag = DagBag()
assert not bag.import_errors, bag.import_errors
done = bag.dags["lexport_snapshot"].test()
assert done.state == "success", done.state
RUN

LEXPORT_DEST=$work/by-dagster
PYTHONPATH=$examples build/schedulers/dagster/bin/python - > "$work/log" 2>&1 <<'RUN' || { cat "$work/log"; exit 1; }
import dagster_job

assert dagster_job.defs.resolve_job_def("lexport_snapshot").execute_in_process().success
RUN

for scheduler in airflow dagster; do
  lexport status "$work/by-$scheduler" --max-age 1h
done
