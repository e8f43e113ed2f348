"""A lexport snapshot as a job of Dagster: plan, one dynamic step for each account-region, commit."""

import json
import os
import subprocess

from dagster import Backoff, Definitions, DynamicOut, DynamicOutput, Failure, RetryPolicy, ScheduleDefinition, job, op
from upath import UPath

DEST = os.environ.get("LEXPORT_DEST", "s3://acme-inventory/fleet")
RETRIES = RetryPolicy(max_retries=3, delay=30, backoff=Backoff.EXPONENTIAL)


def lexport(step, *arguments):
    """Run one step; exit code 3 is a result with gaps. After 2, 5, 6 or a refused commit another try ends likewise."""
    done = subprocess.run(["lexport", "shard", step, DEST, *arguments], stdout=subprocess.PIPE, check=False)
    code = done.returncode
    if code not in (0, 3):
        is_final = code in (2, 5, 6) or (step, code) == ("commit", 1)
        raise Failure(f"lexport shard {step} ended with exit code {code}", allow_retries=not is_final)
    return json.loads(done.stdout)


@op(out=DynamicOut(), retry_policy=RETRIES)
def plan():
    planned = lexport("plan", "--region", "all")
    for number, line in enumerate(UPath(planned["destination"], planned["shards_path"]).read_text().splitlines()):
        scope = json.loads(line)["scope"]
        yield DynamicOutput((planned["run"], scope["account_id"], scope["region"]), mapping_key=str(number))


@op(retry_policy=RETRIES)
def read(context, shard):
    try:
        context.log.info(lexport("read", *shard)["status"])
    except Failure as failure:
        if failure.allow_retries and context.retry_number < RETRIES.max_retries:
            raise
        context.log.warning(failure.description)  # a gap, which the commit refuses
    return shard[0]


@op(retry_policy=RETRIES)
def commit(context, runs: list):
    context.log.info(lexport("commit", runs[0])["status"])


@job
def lexport_snapshot():
    commit(plan().map(read).collect())


defs = Definitions(
    jobs=[lexport_snapshot], schedules=[ScheduleDefinition(job=lexport_snapshot, cron_schedule="0 1 * * *")]
)
