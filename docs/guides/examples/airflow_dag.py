"""A lexport snapshot as a DAG of Airflow 3: plan, one mapped task for each account-region, commit."""

import json
import os
import subprocess

from airflow.sdk import ObjectStoragePath, dag, task
from airflow.sdk.exceptions import AirflowFailException

DEST = os.environ.get("LEXPORT_DEST", "s3://acme-inventory/fleet")


def lexport(step, *arguments):
    """Run one step; exit code 3 is a result with gaps. After 2, 5, 6 or a refused commit another try ends likewise."""
    done = subprocess.run(["lexport", "shard", step, DEST, *arguments], stdout=subprocess.PIPE, check=False)
    if done.returncode in (2, 5, 6) or (step, done.returncode) == ("commit", 1):
        raise AirflowFailException(f"lexport shard {step} ended with exit code {done.returncode}")
    if done.returncode not in (0, 3):
        done.check_returncode()
    return json.loads(done.stdout)


@dag(schedule="0 1 * * *", max_active_runs=1, catchup=False, default_args={"retries": 3})
def lexport_snapshot():
    """Take a snapshot every night."""

    @task
    def plan():
        planned = lexport("plan", "--region", "all")
        lines = ObjectStoragePath(f"{planned['destination']}/{planned['shards_path']}").read_text().splitlines()
        scopes = [json.loads(line)["scope"] for line in lines]
        return [[planned["run"], scope["account_id"], scope["region"]] for scope in scopes]

    @task(retry_exponential_backoff=True, max_active_tis_per_dagrun=100)
    def read(shard):
        return lexport("read", *shard)["status"]

    @task(trigger_rule="all_done_min_one_success")  # account-regions that failed are gaps, which the commit refuses
    def commit(shards):
        return lexport("commit", shards[0][0])["status"]

    shards = plan()
    read.expand(shard=shards) >> commit(shards)


lexport_snapshot()
