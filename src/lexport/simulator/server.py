"""The HTTP server: one handler for Lambda, STS, Organizations, Account, EC2 and the presigned URLs of S3.

A request is handled in the order of AWS: signature, then scripted faults, then quota, then the operation.
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
from typing import Any

import orjson
from aiohttp import web

from lexport.errors import SettingsError
from lexport.model import QuotaClass, Scope
from lexport.simulator.account_services import AccountServices
from lexport.simulator.downloads import Download, apply_fault, reset, send_download
from lexport.simulator.faults import REFUSING, Fault, FaultScript, distort, refusal
from lexport.simulator.fleet import Fleet
from lexport.simulator.lambda_service import LambdaService
from lexport.simulator.presigned import PREFIX, PresignedUrls
from lexport.simulator.quotas import Neighbour, Quotas
from lexport.simulator.resources import ANSWERS
from lexport.simulator.responses import (
    JSON_1_1_HEADERS,
    JSON_HEADERS,
    ApiCall,
    AwsError,
    HttpResponse,
    denied_by_session_policy,
    throttled,
    unrecognized,
)
from lexport.simulator.routes import is_presigned_by_caller, object_call, presigned_call, protocol_of, route
from lexport.simulator.signatures import Caller, Claim, KeyRing, read_claim

_LOG_LENGTH = 10_000
_ACTIONS = {"GetLayerVersionByArn": "GetLayerVersion"}  # permissions whose name differs from their operation
_IAM_SERVICES = {"monitoring": "cloudwatch"}  # likewise those whose name differs from the service's
_WITHOUT_DOWNLOAD = frozenset({"html", "empty", "redirect"})  # these faults replace a download


class Simulator:
    """A running simulator. ``calls`` and ``throttles`` count by (account_id, region, operation).

    ``calls`` includes every call with a valid signature, refused ones too; ``requests`` has the last 10,000 of them.
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        quotas: Quotas | None,
        verify: bool,
        presigned: PresignedUrls,
        credentials_ttl_s: float | None,
        faults: Iterable[Fault],
    ) -> None:
        self.fleet = fleet
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self.throttles: Counter[tuple[str, str, str]] = Counter()
        self.requests: deque[ApiCall] = deque(maxlen=_LOG_LENGTH)
        self._is_verifying = verify
        self._quotas = quotas
        self._presigned = presigned
        self._keys = KeyRing(fleet.spec.accounts[0])
        self._lambda = LambdaService(fleet, presigned)
        self._accounts = AccountServices(fleet.spec, self._keys, credentials_ttl_s)
        self._faults = FaultScript(faults)

    def inject(self, fault: Fault) -> None:
        """Add a fault."""
        self._faults.add(fault)

    @property
    def url(self) -> str:
        """The simulator's own address, which its presigned URLs begin with."""
        return self._presigned.base_url

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Handle one HTTP request."""
        request_id = secrets.token_hex(16)
        if request.raw_path.startswith(PREFIX):
            call = presigned_call(request.raw_path)
            return await self._download(request, call, self._presigned.respond, request_id)
        if is_presigned_by_caller(request.raw_path):
            return await self._download(request, object_call(request.raw_path), self._object, request_id)
        body = await request.read() if request.body_exists else b""
        claim = read_claim(request.headers.get("Authorization"))
        protocol = protocol_of(claim.service if claim else None)
        faults: list[Fault] = []
        try:
            call, caller = self._parse(claim, request, body)
            self._count(call)
            faults = self._faults.take(call)
            if any(fault.kind == "throttle" for fault in faults):
                self.throttles[call.account_id, call.region, call.operation] += 1
            await _delay_or_refuse(request, faults, call)
            response = self._respond(call, caller, faults, request_id)
        except AwsError as error:
            response = error.response(protocol, request_id)
        for fault in faults:
            response = distort(fault, response)
        return await _send(request, response, request_id)

    def _parse(self, claim: Claim | None, request: web.BaseRequest, body: bytes) -> tuple[ApiCall, Caller]:
        if claim is None:
            raise AwsError(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        if self._is_verifying:
            caller = self._keys.verify(claim, request.method, request.raw_path, request.headers, body)
        else:
            caller = self._keys.believe(claim)
        if not self.fleet.is_enabled(claim.region):
            raise unrecognized()
        call = route(claim, request.method, request.raw_path, request.headers.get("X-Amz-Target"), body)
        if call is None:
            raise AwsError(404, "UnknownOperationException", "The simulator has no such operation")
        call.account_id = caller.account_id
        is_free = call.operation == "GetCallerIdentity"  # allowed without any policy
        service = _IAM_SERVICES.get(call.service, call.service)
        action = f"{service}:{_ACTIONS.get(call.operation, call.operation)}"
        if caller.allowed is not None and action not in caller.allowed and not is_free:
            raise denied_by_session_policy(caller.arn, call)
        return call, caller

    def _respond(self, call: ApiCall, caller: Caller, faults: list[Fault], request_id: str) -> HttpResponse:
        if call.service not in ("lambda", "cloudtrail") and call.operation not in ANSWERS:
            return self._accounts.respond(call, caller, request_id)
        is_lambda, scope = call.service == "lambda", Scope(account_id=call.account_id, region=call.region)
        if self._quotas is not None:
            retry_after_s = self._quotas.retry_after_s(scope, call.operation)
            if retry_after_s is not None:
                self.throttles[call.account_id, call.region, call.operation] += 1
                raise throttled(retry_after_s) if is_lambda else AwsError(400, "ThrottlingException", "Rate exceeded")
        for fault in faults:
            if fault.kind == "unqualified_all":
                call.query.pop("FunctionVersion", None)
        history = self.fleet.history(scope)
        if is_lambda:
            history.record_read(call)
        is_history = call.service == "cloudtrail"
        document: Any = history.look_up(call) if is_history else self._lambda.document(call)
        for fault in faults:
            document = self._faults.change(fault, call, document)
        return HttpResponse(body=_json_bytes(document), headers=JSON_HEADERS if is_lambda else JSON_1_1_HEADERS)

    def _object(
        self, method: str, path_and_query: str, headers: Mapping[str, str], request_id: str
    ) -> HttpResponse | Download:
        """Respond to the presigned URL of a customer's own bucket, which a caller has signed."""
        self._keys.verify_presigned(method, path_and_query, headers.get("Host", ""))
        return self._presigned.respond_for_object(path_and_query, headers, request_id)

    async def _download(
        self,
        request: web.BaseRequest,
        call: ApiCall,
        respond: Callable[[str, str, Mapping[str, str], str], HttpResponse | Download],
        request_id: str,
    ) -> web.StreamResponse:
        self._count(call)
        faults = self._faults.take(call)
        try:
            await _delay_or_refuse(request, faults, call)
            response = respond(request.method, request.raw_path, request.headers, request_id)
        except AwsError as error:
            response = error.response("s3", request_id)
        for fault in faults:
            if isinstance(response, Download) and fault.kind not in _WITHOUT_DOWNLOAD:
                response = apply_fault(response, fault)
            else:
                response = distort(fault, HttpResponse() if isinstance(response, Download) else response)
        if isinstance(response, Download):
            return await send_download(request, response, request_id)
        return await _send(request, response, request_id)

    def _count(self, call: ApiCall) -> None:
        self.calls[call.account_id, call.region, call.operation] += 1
        self.requests.append(call)


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

    ``rates`` sets other quotas, ``neighbours`` use them too; ``credentials_ttl_s`` is the life of what AssumeRole
    issues, in place of DurationSeconds.
    Leaving the context closes the port and all connections.
    """
    presigned = PresignedUrls(fleet.spec.seed, link_ttl_s)
    simulator = Simulator(
        fleet,
        quotas=Quotas(rates, neighbours=neighbours) if quotas else None,
        verify=verify,
        presigned=presigned,
        credentials_ttl_s=credentials_ttl_s,
        faults=faults,
    )
    # handler_cancellation: a call that hangs ends when its client disconnects.
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
        presigned.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield simulator
    finally:
        await runner.cleanup()


async def _delay_or_refuse(request: web.BaseRequest, faults: list[Fault], call: ApiCall) -> None:
    for fault in faults:
        match fault.kind:
            case "slow":
                await asyncio.sleep(fault.delay_s)
            case "hang":
                await asyncio.Event().wait()
            case "reset" if fault.after_bytes is None:
                reset(request)
            case kind if kind in REFUSING:
                raise refusal(fault, call)


async def _send(request: web.BaseRequest, response: HttpResponse, request_id: str) -> web.StreamResponse:
    headers = {**response.headers, "x-amzn-requestid": request_id}
    if response.promised_bytes is None:
        return web.Response(status=response.status, body=response.body, headers=headers)
    stream = web.StreamResponse(status=response.status, headers=headers)
    stream.content_length = response.promised_bytes
    stream.force_close()
    await stream.prepare(request)
    await stream.write(response.body)
    if request.transport is not None:
        request.transport.close()
    return stream


def _json_bytes(document: Any) -> bytes:
    if isinstance(document, bytes):
        return document
    try:
        return orjson.dumps(document)
    except TypeError:  # a fault may contain what orjson refuses: lone surrogates, numbers beyond 64 bits, NaN
        return json.dumps(document).encode()
