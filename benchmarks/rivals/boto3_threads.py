"""The same work with boto3: list every version, get each with 32 threads, write the answers as NDJSON.

python benchmarks/rivals/boto3_threads.py OUT
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import boto3
import orjson
from botocore.config import Config

THREADS = 32
AHEAD = 1_000  # calls handed to the pool at once, so that memory does not grow with the fleet


def main() -> None:
    client = boto3.client("lambda", config=Config(max_pool_connections=THREADS, retries={"mode": "standard"}))
    pages = client.get_paginator("list_functions").paginate(FunctionVersion="ALL")
    versions = ((item["FunctionName"], item["Version"]) for page in pages for item in page["Functions"])
    lock = threading.Lock()
    with Path(sys.argv[1]).open("wb") as out, ThreadPoolExecutor(THREADS) as pool:

        def fetch(version: tuple[str, str]) -> None:
            name, number = version
            qualifier = {} if number == "$LATEST" else {"Qualifier": number}
            answer = client.get_function(FunctionName=name, **qualifier)
            del answer["ResponseMetadata"]
            line = orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE)
            with lock:
                out.write(line)

        while some := list(islice(versions, AHEAD)):
            for _ in pool.map(fetch, some):
                pass


main()
