"""Call -> signed request -> Response, or one of our errors.

One request per call and no retry, with one exception: credentials that ran out are renewed once.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from datetime import datetime
from functools import cache, lru_cache, partial
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from lexport.aws.errors import error_from_response
from lexport.aws.http.message import Request, Response, Send
from lexport.aws.signing import Credentials, Signer
from lexport.errors import CredentialsError, ExpiredCredentialsError, FetchError
from lexport.tables.call import PARAMETER, Call, JsonCall

T = TypeVar("T")

SERVICE = "lambda"


class LambdaClient:
    """Lambda in one Region, and the services there that speak the JSON protocol; ``clock`` gives the time in UTC.

    ``endpoint`` is Lambda's URL, which may have a path; ``find_endpoint`` returns that of another service.
    ``credentials`` returns those to sign with; ``renew`` takes the ones that AWS called expired and returns newer
    ones, or the same where there are none. Many callers may renew at once: it is on ``renew`` to do it once.
    """

    def __init__(
        self,
        *,
        region: str,
        endpoint: str,
        find_endpoint: Callable[[str], Awaitable[str]],
        credentials: Callable[[], Awaitable[Credentials]],
        renew: Callable[[Credentials], Awaitable[Credentials]],
        send: Send,
        clock: Callable[[], datetime],
    ) -> None:
        self._region = region
        self._host, self._origin, self._base_path = _parts_of(endpoint)
        self._find_endpoint = find_endpoint
        self._credentials = credentials
        self._renew = renew
        self._send = send
        self._clock = clock
        self._signer: Signer | None = None
        self._signers: dict[str, Signer] = {}
        self._needs_fresh_connection = False
        self.has_met_wrong_answers = False

    def on_fresh_connections(self) -> LambdaClient:
        """Return the same client, each call of which opens a connection of its own."""
        self.has_met_wrong_answers = True
        other = copy(self)
        other._needs_fresh_connection = True  # noqa: SLF001 - it is one of us
        return other

    async def call(self, call: Call, **parameters: str | None) -> Response:
        """Make one signed request. ``parameters`` are those of the path and the query, and the ``marker`` of a page."""
        path, query, item = _target(call, parameters)
        attempt = partial(self._send_once, call.operation, item, path, query)
        return await call_signed(attempt, self._credentials, self._renew, doing=call.operation)

    async def _send_once(
        self, operation: str, item: str | None, path: str, query: str, credentials: Credentials
    ) -> Response:
        signer = self._signer
        if signer is None or signer.credentials is not credentials:
            signer = Signer(self._host, credentials=credentials, region=self._region, service=SERVICE)
            self._signer = signer
        path = self._base_path + path
        url = f"{self._origin}{path}?{query}" if query else self._origin + path
        request = Request(url, signer.sign(path, query, self._clock()), self._needs_fresh_connection)
        return await self._exchange(request, operation, item, credentials)

    async def call_json(self, call: JsonCall, parameters: Mapping[str, Any]) -> Response:
        """Make one signed request of the JSON protocol; the body has the ``parameters`` of the operation."""
        body = json.dumps(parameters, separators=(",", ":")).encode()
        endpoint = await self._find_endpoint(call.service)
        attempt = partial(self._post_once, call, endpoint, body)
        return await call_signed(attempt, self._credentials, self._renew, doing=call.operation)

    async def _post_once(self, call: JsonCall, endpoint: str, body: bytes, credentials: Credentials) -> Response:
        host, origin, base_path = _parts_of(endpoint)
        signer = self._signers.get(call.service)
        if signer is None or signer.credentials is not credentials:
            signer = Signer(host, credentials=credentials, region=self._region, service=call.service)
            self._signers[call.service] = signer
        path = f"{base_path}/"
        headers = signer.sign_post(path, call.headers(), body, self._clock())
        request = Request(origin + path, headers, self._needs_fresh_connection, body)
        return await self._exchange(request, call.operation, None, credentials)

    async def _exchange(self, request: Request, operation: str, item: str | None, credentials: Credentials) -> Response:
        response = await self._send(request)
        if response.status != 200:  # noqa: PLR2004 - the one status that these calls succeed with
            secrets = (credentials.secret_key, credentials.token)
            error = error_from_response(response, operation=operation, item=item, secrets=secrets)
            error.source = response.source
            raise error
        return response


@lru_cache(maxsize=64)  # endpoints of other services are parsed for each request
def _parts_of(endpoint: str) -> tuple[str, str, str]:
    """Return the Host header of an endpoint, its origin, and the path that every request begins with.

    The Host header is signed, so it is what the transport makes of the URL: lower case, no default port.
    """
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    if parts.port is not None and (parts.scheme, parts.port) not in (("http", 80), ("https", 443)):
        host = f"{host}:{parts.port}"
    return host, f"{parts.scheme}://{host}", parts.path.rstrip("/")


async def call_signed(
    attempt: Callable[[Credentials], Awaitable[T]],
    credentials: Callable[[], Awaitable[Credentials]],
    renew: Callable[[Credentials], Awaitable[Credentials]],
    *,
    doing: str,
) -> T:
    """Make an attempt with credentials, and one more with newer ones where AWS calls the first ones expired."""
    try:
        used = await credentials()
        try:
            return await attempt(used)
        except ExpiredCredentialsError as error:
            if not error.code.startswith("ExpiredToken"):
                raise
            newer = await renew(used)
            if newer == used:
                raise
        return await attempt(newer)
    except CredentialsError as error:
        # Other accounts of the run may still have credentials: this account-region is lost, not the run.
        raise ExpiredCredentialsError(f"{doing}: {error}", code="credentials_lost") from error


_query_parts = cache(Call.query_parts)
_path_parameters = cache(PARAMETER.findall)


def _target(call: Call, parameters: Mapping[str, str | None]) -> tuple[str, str, str | None]:
    """Return the path and the query of a request, and the item that it is about, for errors."""
    names = _path_parameters(call.path)
    values = [parameters[name] or "" for name in names]
    query = []
    for name, parameter, constant in _query_parts(call):
        value = constant if parameter is None else parameters.get(parameter)
        if value is not None:
            query.append(name + _encode(value))
    item = values[0] if values else parameters.get("arn")
    return (_path(call.path, *values) if values else call.path), "&".join(query), item


@lru_cache(maxsize=1024)  # versions of a function are asked for one after the other
def _path(path: str, *values: str) -> str:
    """Put names or ARNs into a path. A value that would make it another path is refused."""
    for value in values:
        if value in ("", ".", ".."):
            raise FetchError(f"{value!r} is no name of a function", code="invalid_name")
    encoded = iter(map(_encode, values))
    return PARAMETER.sub(lambda _: next(encoded), path)


def _encode(text: str) -> str:
    if text.isalnum() and text.isascii():  # a number, nearly always
        return text
    return quote(text, safe="-._~", errors="surrogatepass")
