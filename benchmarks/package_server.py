"""Serve packages of 250 MB that are made up as they are sent: GET /NUMBER. Prints its URL."""

from __future__ import annotations

import asyncio

from aiohttp import web

from lexport.simulator.downloads import download, send_download
from lexport.simulator.packages import package


async def handle(request: web.BaseRequest) -> web.StreamResponse:
    content = package(1, f"{request.path.strip('/')}#250000000")
    return await send_download(request, download(content, None, {}), "")


async def main() -> None:
    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
