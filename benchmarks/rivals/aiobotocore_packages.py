"""Download the package of every function with aiobotocore and aiohttp, 32 at a time, as one would write it in an hour.

python benchmarks/rivals/aiobotocore_packages.py OUT < LINKS        one "URL CODE_SHA256 SIZE NAME" a line
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
from aiobotocore.session import get_session

AT_ONCE = 32


async def main() -> None:
    names = iter([line.split()[3] for line in sys.stdin])
    out = Path(sys.argv[1])
    out.mkdir(parents=True)  # noqa: ASYNC240 - a local folder
    trust = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    async with (
        get_session().create_client("lambda") as client,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(AT_ONCE):
            tasks.create_task(work(names, client, session, out))


async def work(names: Iterator[str], client: Any, session: aiohttp.ClientSession, out: Path) -> None:
    for name in names:
        answer = await client.get_function(FunctionName=name)
        async with session.get(answer["Code"]["Location"]) as response:
            body = await response.read()
        found = base64.b64encode(hashlib.sha256(body).digest()).decode()
        if found != answer["Configuration"]["CodeSha256"]:
            sys.exit(f"{name}: {found}")
        (out / name).write_bytes(body)


asyncio.run(main())
