"""The same work with aiobotocore: list every version, get each with 64 tasks, write the answers as NDJSON.

python benchmarks/rivals/aiobotocore_tasks.py OUT
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

TASKS = 64


async def main() -> None:
    config = AioConfig(max_pool_connections=TASKS, retries={"mode": "standard"})
    versions: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue(1_000)
    async with get_session().create_client("lambda", config=config) as client:
        with Path(sys.argv[1]).open("wb") as out:  # noqa: ASYNC230 - a local file
            async with asyncio.TaskGroup() as tasks:
                for _ in range(TASKS):
                    tasks.create_task(fetch(client, versions, out))
                async for page in client.get_paginator("list_functions").paginate(FunctionVersion="ALL"):
                    for item in page["Functions"]:
                        await versions.put((item["FunctionName"], item["Version"]))
                for _ in range(TASKS):
                    await versions.put(None)


async def fetch(client: Any, versions: asyncio.Queue[tuple[str, str] | None], out: BinaryIO) -> None:
    while (version := await versions.get()) is not None:
        name, number = version
        qualifier = {} if number == "$LATEST" else {"Qualifier": number}
        answer = await client.get_function(FunctionName=name, **qualifier)
        del answer["ResponseMetadata"]
        out.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))


asyncio.run(main())
