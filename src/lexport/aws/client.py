"""``LambdaApi`` as signed GETs: name -> URL -> signature -> answer -> Reply, or one of our errors.

One request per call and no retry, with one exception: credentials that ran out are renewed once.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from copy import copy
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from lexport.aws.errors import describe, error_from_response
from lexport.aws.http.message import Request, Response, Send
from lexport.aws.json import parse_document
from lexport.aws.signing import Credentials, Signer
from lexport.errors import CredentialsError, ExpiredCredentialsError, FetchError, ServiceError
from lexport.extract.decode import decode_function, decode_page
from lexport.model import Reply

SERVICE = "lambda"
FUNCTIONS = "/2015-03-31/functions"
PAGE = "MaxItems=50"
"""AWS returns at most 50 functions or versions a page, whatever is asked for (lambda-api, 2026)."""


class LambdaClient:
    """Lambda in one region. ``endpoint`` is a URL that may have a path, ``clock`` gives the time in UTC.

    ``credentials`` returns those to sign with; ``renew`` takes the ones that AWS called expired and returns newer
    ones, or the same where there are none. Many callers may renew at once: it is on ``renew`` to do it once.
    """

    def __init__(
        self,
        *,
        region: str,
        endpoint: str,
        credentials: Callable[[], Awaitable[Credentials]],
        renew: Callable[[Credentials], Awaitable[Credentials]],
        send: Send,
        clock: Callable[[], datetime],
    ) -> None:
        parts = urlsplit(endpoint)
        # The Host header is signed, so it must be what the transport makes of the URL: lower case, no default port.
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        if parts.port is not None and (parts.scheme, parts.port) not in (("http", 80), ("https", 443)):
            host = f"{host}:{parts.port}"
        self._region = region
        self._host = host
        self._origin = f"{parts.scheme}://{host}"
        self._base_path = parts.path.rstrip("/")
        self._credentials = credentials
        self._renew = renew
        self._send = send
        self._clock = clock
        self._signer: Signer | None = None
        self._needs_fresh_connection = False
        self.has_met_wrong_answers = False

    def on_fresh_connections(self) -> LambdaClient:
        """Return the same client, each call of which opens a connection of its own."""
        self.has_met_wrong_answers = True
        other = copy(self)
        other._needs_fresh_connection = True  # noqa: SLF001 - it is one of us
        return other

    async def get_function(self, function_name: str, qualifier: str | None) -> Reply:
        """Ask for one version; Tags and Concurrency come with ``qualifier=None`` only."""
        query = "" if qualifier is None else f"Qualifier={_encode(qualifier)}"
        response = await self._ask("GetFunction", function_name, _function_path(function_name), query)
        return _over(response, parse_function(response.body))

    async def list_functions(self, marker: str | None, *, all_versions: bool) -> Reply:
        """Ask for one page of the fleet."""
        query = _page(marker, "FunctionVersion=ALL" if all_versions else "")
        response = await self._ask("ListFunctions", None, FUNCTIONS, query)
        return _over(response, parse_page(response.body, "Functions"))

    async def list_versions_by_function(self, function_name: str, marker: str | None) -> Reply:
        """Ask for one page of the versions of a function."""
        path = f"{_function_path(function_name)}/versions"
        response = await self._ask("ListVersionsByFunction", function_name, path, _page(marker))
        return _over(response, parse_page(response.body, "Versions"))

    async def list_aliases(self, function_name: str, marker: str | None) -> Reply:
        """Ask for one page of the aliases of a function."""
        path = f"{_function_path(function_name)}/aliases"
        response = await self._ask("ListAliases", function_name, path, _page(marker))
        return _over(response, parse_reply(response.body))

    async def get_account_settings(self) -> Reply:
        """Ask for the limits and the use of the account-region."""
        response = await self._ask("GetAccountSettings", None, "/2016-08-19/account-settings", "")
        return _over(response, parse_reply(response.body))

    async def get_layer_version_by_arn(self, layer_arn: str) -> Reply:
        """Ask for one layer version, of this account or of another that shares it."""
        query = f"Arn={_encode(layer_arn)}&find=LayerVersion"
        response = await self._ask("GetLayerVersionByArn", layer_arn, "/2018-10-31/layers", query)
        return _over(response, parse_reply(response.body))

    async def _ask(self, operation: str, item: str | None, path: str, query: str) -> Response:
        try:
            credentials = await self._credentials()
            try:
                return await self._call(operation, item, path, query, credentials)
            except ExpiredCredentialsError as error:
                if not error.code.startswith("ExpiredToken"):
                    raise
                newer = await self._renew(credentials)
                if newer == credentials:
                    raise
            return await self._call(operation, item, path, query, newer)
        except CredentialsError as error:
            # Others of the run may still have theirs: this account-region is lost, not the run.
            raise ExpiredCredentialsError(f"{operation}: {error}", code="credentials_lost") from error

    async def _call(
        self, operation: str, item: str | None, path: str, query: str, credentials: Credentials
    ) -> Response:
        signer = self._signer
        if signer is None or signer.credentials is not credentials:
            signer = Signer(self._host, credentials=credentials, region=self._region, service=SERVICE)
            self._signer = signer
        path = self._base_path + path
        url = f"{self._origin}{path}?{query}" if query else self._origin + path
        request = Request(url, signer.sign(path, query, self._clock()), self._needs_fresh_connection)
        response = await self._send(request)
        if response.status != 200:  # noqa: PLR2004 - the one status that Lambda's reads succeed with
            secrets = (credentials.secret_key, credentials.token)
            error = error_from_response(response, operation=operation, item=item, secrets=secrets)
            error.source = response.source
            raise error
        return response


def _over(response: Response, reply: Reply) -> Reply:
    """Note which connection a reply came over."""
    reply.source = response.source
    return reply


@lru_cache(maxsize=1024)  # versions of a function are asked for one after the other
def _function_path(function_name: str) -> str:
    """Put a name or an ARN into the path; what would make it another path is refused."""
    if function_name in ("", ".", ".."):
        raise FetchError(f"{function_name!r} is no name of a function", code="invalid_name")
    return f"{FUNCTIONS}/{_encode(function_name)}"


def _encode(text: str) -> str:
    if text.isalnum() and text.isascii():  # a number, nearly always
        return text
    return quote(text, safe="-._~", errors="surrogatepass")


def _page(marker: str | None, first: str = "") -> str:
    parts = [first, "" if marker is None else f"Marker={_encode(marker)}", PAGE]
    return "&".join(part for part in parts if part)


def parse_function(body: bytes) -> Reply:
    """Read one answer of GetFunction: all at once where it is an ordinary one."""
    return decode_function(body) or parse_reply(body)


def parse_page(body: bytes, key: str) -> Reply:
    """Read one page of a listing of versions: only what it must tell where it is an ordinary one."""
    return decode_page(body, key) or parse_reply(body)


def parse_reply(body: bytes) -> Reply:
    """Read one answer of AWS as a JSON object.

    The link of ``Code.Location`` or ``Content.Location`` is a secret for ten minutes: it is taken out of document and
    body and stands in ``location`` alone.
    Text that no table can hold (lone surrogates, NUL, bytes that are no UTF-8) becomes U+FFFD and is counted.
    Numbers: integers beyond 64 bits may be floats in the document; the body has their digits. Floats beyond the range
    of a double and NaN become their own text.
    """
    try:
        document, cleaned = parse_document(body)
        if not isinstance(document, dict):
            raise _invalid_body(body)
        location = None
        for code in _codes(document):
            location = code.pop("Location")
            body = _without_link(body, location)
    except (ValueError, RecursionError):
        raise _invalid_body(body) from None  # the cause would quote the body
    link = location if isinstance(location, str) and location else None
    return Reply(parsed=document, body=body, cleaned=cleaned, location=link)


def _codes(document: Any) -> list[dict[str, Any]]:
    """Return the objects of an answer that hold a link: a function's ``Code``, a layer version's ``Content``."""
    found = (document.get(name) for name in ("Code", "Content"))
    return [code for code in found if isinstance(code, dict) and "Location" in code]


def _invalid_body(body: bytes) -> ServiceError:
    return ServiceError(
        f"the answer is no JSON object but {describe(body)} ({len(body)} bytes);"
        " a proxy or a wrong --endpoint-url may stand in between",
        code="invalid_body",
        http_status=200,
    )


def _without_link(body: bytes, location: object) -> bytes:
    """Take the download link out of the raw answer.

    Nearly always it stands there once and as it is. Where it does not (escapes, another type, the key twice), the
    answer is parsed with exact integers and written anew without it.
    """
    key = b'"Location"'
    if isinstance(location, str) and location and body.count(key) == 1:
        link = location.encode(errors="surrogatepass")
        start = body.find(link, body.index(key) + len(key))
        if start >= 0:
            return body[:start] + body[start + len(link) :]
    document, _ = parse_document(body, is_exact=True)
    for code in _codes(document):
        code.pop("Location")
    return json.dumps(document, ensure_ascii=False).encode(errors="replace")
