"""The proxies of the environment: HTTPS_PROXY, HTTP_PROXY and NO_PROXY."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from lexport.errors import SettingsError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy. ``url`` has no credentials; ``name`` is host and port, for messages.

    ``authorization`` is the value of Proxy-Authorization, or None.
    """

    url: str
    name: str
    authorization: str | None = field(repr=False)


class Proxies:
    """Chooses the proxy of each origin once. Raises SettingsError for a variable that names no HTTP proxy."""

    def __init__(self) -> None:
        self._by_scheme = {
            scheme: _read(scheme, value) for scheme, value in getproxies().items() if scheme in ("http", "https")
        }
        self._by_origin: dict[tuple[str, str], Proxy | None] = {}

    def addresses(self) -> set[tuple[str, int]]:
        """Return host and port of every proxy."""
        urls = (urlsplit(proxy.url) for proxy in self._by_scheme.values())
        return {(parts.hostname or "", parts.port or 0) for parts in urls}

    def find(self, scheme: str, authority: str) -> Proxy | None:
        """Return the proxy for an origin, or None for a direct connection."""
        if not self._by_scheme:
            return None
        key = (scheme, authority)
        if key not in self._by_origin:
            proxy = self._by_scheme.get(scheme)
            self._by_origin[key] = None if proxy is None or proxy_bypass(authority) else proxy
        return self._by_origin[key]


def _read(scheme: str, value: str) -> Proxy:
    """Parse one proxy variable; `proxy:3128` without a scheme means `http://proxy:3128`."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in _PORTS:
        name = f"{scheme.upper()}_PROXY"
        raise SettingsError(
            f"{name} is not the URL of an HTTP proxy; it looks like http://proxy.example.com:3128", option=name
        )
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
    authority = f"{f'[{host}]' if ':' in host else host}:{port or _PORTS[parts.scheme]}"
    return Proxy(f"{parts.scheme}://{authority}", f"{host}:{port or _PORTS[parts.scheme]}", authorization)
