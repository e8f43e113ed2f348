"""The simulator: one catch-all HTTP handler that speaks for Lambda, STS, Organizations, Account, EC2 and S3 links.

Order of a request, as at AWS: signature, faults of the script, quota, answer.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import secrets
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from lexport.errors import SettingsError
from lexport.model import QuotaClass, Scope
from lexport.simulator.account_services import AccountServices
from lexport.simulator.downloads import Download, bend, reset, send_download
from lexport.simulator.faults import REFUSING, Fault, FaultScript, distorted, refusal
from lexport.simulator.fleet import Fleet
from lexport.simulator.lambda_service import LambdaService
from lexport.simulator.presigned import PREFIX, PresignedUrls
from lexport.simulator.quotas import Neighbour, Quotas
from lexport.simulator.responses import (
    JSON_HEADERS,
    ApiCall,
    AwsError,
    HttpResponse,
    denied_by_session_policy,
    throttled,
    unrecognized,
)
from lexport.simulator.routes import is_signed_link, link_call, object_call, protocol_of, route
from lexport.simulator.signatures import Caller, Claim, KeyRing, read_claim

_LOG_LENGTH = 10_000
_ACTIONS = {"GetLayerVersionByArn": "GetLayerVersion"}  # permissions that have another name than their operation
_INSTEAD = frozenset({"html", "empty", "redirect"})  # of a download, nothing is sent


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the simulator's log."""

    operation: str
    function_name: str | None
    qualifier: str | None
    marker: str | None


class Simulator:
    """A running simulator. ``calls`` and ``throttles`` count by (account_id, region, operation).

    ``calls`` holds every call whose signature was right, refused ones too; ``requests`` the last 10,000 of them.
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        quotas: bool,
        verify: bool,
        rates: Mapping[QuotaClass, float] | None,
        neighbours: Iterable[Neighbour],
        link_ttl_s: float,
        credentials_ttl_s: float | None,
        faults: Iterable[Fault],
    ) -> None:
        self.fleet = fleet
        self.url = ""
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self.throttles: Counter[tuple[str, str, str]] = Counter()
        self.requests: deque[Request] = deque(maxlen=_LOG_LENGTH)
        self._is_verifying = verify
        self._quotas = Quotas(rates, neighbours=neighbours) if quotas else None
        self._presigned = PresignedUrls(fleet.spec.seed, link_ttl_s)
        self._keys = KeyRing(fleet.spec.accounts[0])
        self._lambda = LambdaService(fleet, self._presigned)
        self._accounts = AccountServices(fleet.spec, self._keys, credentials_ttl_s)
        self._faults = FaultScript(faults)

    def inject(self, fault: Fault) -> None:
        """Script one more fault."""
        self._faults.add(fault)

    def listens_at(self, url: str) -> None:
        """Tell the simulator its own address: links are made with it."""
        self.url = self._presigned.base_url = url

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """HttpResponse one HTTP request."""
        request_id = secrets.token_hex(16)
        if request.raw_path.startswith(PREFIX):
            return await self._link(request, link_call(request.raw_path), self._presigned.answer, request_id)
        if is_signed_link(request.raw_path):
            return await self._link(request, object_call(request.raw_path), self._object, request_id)
        body = await request.read() if request.body_exists else b""
        claim = read_claim(request.headers.get("Authorization"))
        protocol = protocol_of(claim.service if claim else None)
        met: list[Fault] = []
        try:
            call, caller = self._understood(claim, request, body)
            self._count(call)
            met = self._faults.take(call)
            if any(fault.kind == "throttle" for fault in met):
                self.throttles[call.account_id, call.region, call.operation] += 1
            await _delay_or_refuse(request, met, call)
            answer = self._answered(call, caller, met, request_id)
        except AwsError as error:
            answer = error.answer(protocol, request_id)
        for fault in met:
            answer = distorted(fault, answer)
        return await _send(request, answer, request_id)

    def _understood(self, claim: Claim | None, request: web.BaseRequest, body: bytes) -> tuple[ApiCall, Caller]:
        if claim is None:
            raise AwsError(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        if self._is_verifying:
            caller = self._keys.verify(
                claim,
                method=request.method,
                path_and_query=request.raw_path,
                headers=request.headers,
                body=body,
            )
        else:
            caller = self._keys.believe(claim)
        if not self.fleet.is_enabled(claim.region):
            raise unrecognized()
        call = route(claim, request.method, request.raw_path, request.headers.get("X-Amz-Target"), body)
        if call is None:
            raise AwsError(404, "UnknownOperationException", "The simulator has no such operation")
        call.account_id = caller.account_id
        is_free = call.operation == "GetCallerIdentity"  # no policy is asked
        action = f"{call.service}:{_ACTIONS.get(call.operation, call.operation)}"
        if caller.allowed is not None and action not in caller.allowed and not is_free:
            raise denied_by_session_policy(caller.arn, call)
        return call, caller

    def _answered(self, call: ApiCall, caller: Caller, met: list[Fault], request_id: str) -> HttpResponse:
        if call.service != "lambda":
            return self._accounts.answer(call, caller, request_id)
        if self._quotas is not None:
            scope = Scope(account_id=call.account_id, region=call.region)
            retry_after_s = self._quotas.retry_after_s(scope, call.operation)
            if retry_after_s is not None:
                self.throttles[call.account_id, call.region, call.operation] += 1
                raise throttled(retry_after_s)
        for fault in met:
            if fault.kind == "unqualified_all":
                call.query.pop("FunctionVersion", None)
        document: Any = self._lambda.document(call)
        for fault in met:
            document = self._faults.bend(fault, call, document)
        return HttpResponse(body=_json_bytes(document), headers=JSON_HEADERS)

    def _object(
        self, method: str, path_and_query: str, headers: Mapping[str, str], request_id: str
    ) -> HttpResponse | Download:
        """HttpResponse a link to a customer's own bucket, which one of our callers has signed."""
        self._keys.verify_link(method, path_and_query, headers.get("Host", ""))
        return self._presigned.object(path_and_query, headers, request_id)

    async def _link(
        self,
        request: web.BaseRequest,
        call: ApiCall,
        answer_link: Callable[[str, str, Mapping[str, str], str], HttpResponse | Download],
        request_id: str,
    ) -> web.StreamResponse:
        self._count(call)
        met = self._faults.take(call)
        try:
            await _delay_or_refuse(request, met, call)
            answer = answer_link(request.method, request.raw_path, request.headers, request_id)
        except AwsError as error:
            answer = error.answer("s3", request_id)
        for fault in met:
            if isinstance(answer, Download) and fault.kind not in _INSTEAD:
                answer = bend(answer, fault)
            else:
                answer = distorted(fault, HttpResponse() if isinstance(answer, Download) else answer)
        if isinstance(answer, Download):
            return await send_download(request, answer, request_id)
        return await _send(request, answer, request_id)

    def _count(self, call: ApiCall) -> None:
        self.calls[call.account_id, call.region, call.operation] += 1
        marker = call.query.get("Marker")
        self.requests.append(Request(call.operation, call.function_name, call.qualifier, marker))


@asynccontextmanager
async def open_simulator(
    fleet: Fleet,
    *,
    port: int = 0,
    quotas: bool = True,
    verify: bool = True,
    rates: Mapping[QuotaClass, float] | None = None,
    neighbours: Iterable[Neighbour] = (),
    link_ttl_s: float = 600,
    credentials_ttl_s: float | None = None,
    faults: Iterable[Fault] = (),
) -> AsyncIterator[Simulator]:
    """Serve a fleet on 127.0.0.1 until the block ends; port 0 takes a free one.

    ``rates`` changes the quotas, ``neighbours`` use them too; ``credentials_ttl_s`` is the life of what AssumeRole
    hands out, whatever was asked for.
    Cancelled: the port is closed, open connections are dropped.
    """
    simulator = Simulator(
        fleet,
        quotas=quotas,
        verify=verify,
        rates=rates,
        neighbours=neighbours,
        link_ttl_s=link_ttl_s,
        credentials_ttl_s=credentials_ttl_s,
        faults=faults,
    )
    # handler_cancellation: a call that hangs ends when its client goes away.
    server = web.Server(simulator.handle, access_log=None, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise SettingsError(
                f"port {port} of 127.0.0.1 cannot be used: {os.strerror(error.errno)}", option="--port"
            ) from error
        simulator.listens_at(f"http://127.0.0.1:{runner.addresses[0][1]}")
        yield simulator
    finally:
        await runner.cleanup()


async def _delay_or_refuse(request: web.BaseRequest, met: list[Fault], call: ApiCall) -> None:
    for fault in met:
        match fault.kind:
            case "slow":
                await asyncio.sleep(fault.delay_s)
            case "hang":
                await asyncio.Event().wait()
            case "reset" if fault.after_bytes is None:
                reset(request)
            case kind if kind in REFUSING:
                raise refusal(fault, call)


async def _send(request: web.BaseRequest, answer: HttpResponse, request_id: str) -> web.StreamResponse:
    headers = {**answer.headers, "x-amzn-requestid": request_id}
    if answer.promised_bytes is None:
        return web.Response(status=answer.status, body=answer.body, headers=headers)
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = answer.promised_bytes
    response.force_close()
    await response.prepare(request)
    await response.write(answer.body)
    if request.transport is not None:
        request.transport.close()
    return response


def _json_bytes(document: Any) -> bytes:
    if isinstance(document, bytes):
        return document
    try:
        return orjson.dumps(document)
    except TypeError:  # a script may want what orjson refuses: lone surrogates, numbers beyond 64 bits, NaN
        return json.dumps(document).encode()
