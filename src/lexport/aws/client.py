"""``LambdaApi`` as signed GETs: name -> URL -> signature -> Response, or one of our errors.

One request per call and no retry, with one exception: credentials that ran out are renewed once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import copy
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote, urlsplit

from lexport.aws.errors import error_from_response
from lexport.aws.http.message import Request, Response, Send
from lexport.aws.signing import Credentials, Signer
from lexport.errors import CredentialsError, ExpiredCredentialsError, FetchError

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

    async def get_function(self, function_name: str, qualifier: str | None) -> Response:
        """Ask for one version; Tags and Concurrency come with ``qualifier=None`` only."""
        query = "" if qualifier is None else f"Qualifier={_encode(qualifier)}"
        return await self._ask("GetFunction", function_name, _function_path(function_name), query)

    async def list_functions(self, marker: str | None, *, all_versions: bool) -> Response:
        """Ask for one page of the fleet."""
        query = _page(marker, "FunctionVersion=ALL" if all_versions else "")
        return await self._ask("ListFunctions", None, FUNCTIONS, query)

    async def list_versions_by_function(self, function_name: str, marker: str | None) -> Response:
        """Ask for one page of the versions of a function."""
        path = f"{_function_path(function_name)}/versions"
        return await self._ask("ListVersionsByFunction", function_name, path, _page(marker))

    async def list_aliases(self, function_name: str, marker: str | None) -> Response:
        """Ask for one page of the aliases of a function."""
        path = f"{_function_path(function_name)}/aliases"
        return await self._ask("ListAliases", function_name, path, _page(marker))

    async def get_account_settings(self) -> Response:
        """Ask for the limits and the use of the account-region."""
        return await self._ask("GetAccountSettings", None, "/2016-08-19/account-settings", "")

    async def get_layer_version_by_arn(self, layer_arn: str) -> Response:
        """Ask for one layer version, of this account or of another that shares it."""
        query = f"Arn={_encode(layer_arn)}&find=LayerVersion"
        return await self._ask("GetLayerVersionByArn", layer_arn, "/2018-10-31/layers", query)

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
