"""Send the summary of a run to a webhook, whose URL is a secret: no message and no file holds more than its host."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec
from yarl import URL

from lexport.artifacts.checked_resolver import CheckedResolver
from lexport.artifacts.url_policy import Origin, check_address, origin_of
from lexport.aws.http.proxied import translate_error
from lexport.aws.http.proxies import Proxies
from lexport.aws.http.tls import open_trust_store
from lexport.aws.redact import remember_secret
from lexport.cli._options import NOTIFY_VARIABLE
from lexport.cli._outputs.send import LIMIT_S, Send
from lexport.cli._outputs.summary import RunSummary, to_json
from lexport.errors import FetchError, SettingsError
from lexport.model import __version__
from lexport.tables.text import plural

_MOST_FILE_BYTES = 2**16
_FIRST_FAILURE, _FIRST_REDIRECT = 400, 300
_LOOPBACK = "a loopback address"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to send the summary; ``origin`` is all that may be shown of it."""

    url: str = field(repr=False)
    origin: Origin

    @property
    def is_local(self) -> bool:
        """Whether its host is named as one of this machine."""
        return self.origin.host == "localhost" or _kind_of(self.origin.host) == _LOOPBACK


def read_webhook(file: Path | None, environment: Mapping[str, str] = os.environ) -> Webhook | None:
    """Return the webhook that the file names, else the variable; raises SettingsError for a wrong URL."""
    if file is None:
        return parse_webhook(text, NOTIFY_VARIABLE) if (text := environment.get(NOTIFY_VARIABLE, "").strip()) else None
    option = "--notify-url-file"
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_FILE_BYTES).decode("utf-8-sig", "replace").strip()
    except OSError as error:
        raise SettingsError(f"{option} {file} cannot be read: {error.strerror}", option=option) from error
    return parse_webhook(text, f"{option} {file}")


def parse_webhook(url: str, source: str) -> Webhook:
    """Check a URL; ``source`` says where it comes from. Raises SettingsError, which names no part of a wrong URL."""
    remember_secret(url)
    option, origin = source.partition(" ")[0], origin_of(url)
    if origin is None:
        raise SettingsError(f"{source} is not the URL of a webhook: https://host/path, without a user", option=option)
    webhook, kind = Webhook(url, origin), _kind_of(origin.host)
    if kind is not None and kind != _LOOPBACK:
        raise SettingsError(f"{source} leads to {kind}, to which no summary is sent", option=option)
    if origin.scheme != "https" and not webhook.is_local:
        raise SettingsError(f"{source} must be https: only to this machine may it be http", option=option)
    return webhook


def body_of(summary: RunSummary) -> bytes:
    """Return what is sent: the summary, and a ``text`` about it, which chat services show."""
    counts = [
        plural(count, noun)
        for count, noun in (
            (summary.counts.functions, "function"),
            (summary.counts.versions, "version"),
            (summary.counts.packages, "package"),
            (summary.gaps, "gap"),
        )
        if count is not None
    ]
    parts = (f"exit code {summary.exit_code}", *counts, f"{summary.duration_s:,.1f} s")
    error = f": {summary.error}" if summary.error else ""
    text = (
        f"lexport {summary.command} {summary.dest or ''}".rstrip() + f": {summary.status} ({', '.join(parts)}){error}"
    )
    return msgspec.json.encode({"text": text, **msgspec.json.decode(to_json(summary))})


def sender(webhook: Webhook, summary: RunSummary) -> Send:
    """Return what sends the summary to the webhook."""
    return lambda: asyncio.run(post(webhook, body_of(summary), timeout_s=0.9 * LIMIT_S))


async def post(webhook: Webhook, body: bytes, *, timeout_s: float) -> str:
    """Send the body; return why that failed, or "". No redirect is followed, and no body is read."""
    try:
        return await _post(webhook, body, timeout_s)
    except FetchError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except SettingsError as error:  # a proxy variable that names no proxy
        return str(error)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return str(translate_error(error, str(webhook.origin), None))


async def _post(webhook: Webhook, body: bytes, timeout_s: float) -> str:
    proxies = Proxies()
    proxy = None if webhook.is_local else proxies.find(webhook.origin.scheme, str(webhook.origin))
    check = functools.partial(_check_address, webhook)
    resolver = CheckedResolver(check, unchecked=proxies.addresses() if proxy else ())
    headers = {
        "User-Agent": f"lexport/{__version__}",
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
    }
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=_trusted(), resolver=resolver, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # True would read ~/.netrc
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            headers=headers,
        ) as session,
        session.post(
            URL(webhook.url, encoded=True),
            data=body,
            allow_redirects=False,
            proxy=proxy.url if proxy else None,
            proxy_headers={"Proxy-Authorization": proxy.authorization} if proxy and proxy.authorization else None,
        ) as response,
    ):
        status = response.status
        response.close()
    if _FIRST_REDIRECT <= status < _FIRST_FAILURE:
        return f"it answered with a redirect (HTTP {status}), which is never followed"
    return f"it answered HTTP {status}" if status >= _FIRST_FAILURE else ""


def _check_address(webhook: Webhook, host: str, address: str) -> None:
    """Raise FetchError for a forbidden address; a host of this machine has no other than loopback addresses."""
    kind = check_address(address)
    if kind != (_LOOPBACK if webhook.is_local else None):
        raise FetchError(
            f"{host} resolves to {address}, {kind or 'an address of another machine'}", code="link_refused"
        )


def _kind_of(host: str) -> str | None:
    """Return the kind of a forbidden address; None for a name, and for an allowed address."""
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return check_address(host)
    return None


def _trusted() -> ssl.SSLContext:
    """Return the CAs of the system, and those of AWS_CA_BUNDLE, where a proxy may stand that reads TLS."""
    context = open_trust_store(None)
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        is_folder = Path(bundle).is_dir()
        context.load_verify_locations(cafile=None if is_folder else bundle, capath=bundle if is_folder else None)
    return context
