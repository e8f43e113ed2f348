"""Which hosts a presigned URL may lead to: a pure decision about the URL, and one about each resolved address.

The URL comes from a response of AWS, or of the server at ``--endpoint-url``. It must not make lexport fetch anything
else from inside the user's network (server-side request forgery, SSRF).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from lexport.errors import PackageError, SettingsError

AWS_SUFFIXES = (
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
)
"""The DNS suffix of every partition. Source: botocore's partitions.json; a test compares them."""

MAX_LINK_CHARACTERS = 16_384  # AWS's model allows 10,000
MAX_HOST_CHARACTERS = 253  # of any DNS name
_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")
_FETCHABLE = re.compile(r"[!-~]+")  # printable ASCII without the blank, which all URL parsers read alike
_METADATA = tuple(
    map(
        ipaddress.ip_network,
        (
            "fd00:ec2::/32",  # AWS's instance metadata, time and DNS over IPv6
            "fd20:ce::254/128",  # Google Cloud's
            "168.63.129.16/32",  # Azure's
            "100.100.100.200/32",  # Alibaba Cloud's
            "192.0.0.192/32",  # Oracle Cloud's
        ),
    )
)
"""Addresses of services that know secrets of a machine and that are not link-local, as 169.254.169.254 is."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host in lower case, and port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


Hosts = frozenset[Origin]
"""The hosts that links may lead to besides AWS's own S3: exactly those that the user named."""


def named_hosts(*, endpoint_url: str | None, package_hosts: tuple[str, ...] = ()) -> Hosts:
    """Return the host of the endpoint and each ``--package-host``; http only where the endpoint is http.

    An endpoint of AWS is left out, since it serves no packages. Raises SettingsError for a package host that is no
    ``HOST`` or ``HOST:PORT``.
    """
    origins = set[Origin]()
    schemes = ["https"]
    if endpoint_url is not None and (endpoint := origin_of(endpoint_url)):
        if _suffix_of(endpoint.host) is None:
            origins.add(endpoint)
        if endpoint.scheme == "http":
            schemes.append("http")
    for text in package_hosts:
        for scheme in schemes:
            origin = None if "/" in text else origin_of(f"{scheme}://{text}")
            if origin is None:
                raise SettingsError(f"--package-host is a HOST or HOST:PORT, not {text!r}", option="--package-host")
            origins.add(origin)
    return frozenset(origins)


def check_link(url: str, hosts: Hosts) -> Origin:
    """Return the origin of a link; raise PackageError, which names the host and never the link, if it is forbidden.

    Allowed are https to S3 below the suffix of a partition, at the default port, and the origins that the user named.
    """
    origin = origin_of(url)
    if origin is None:
        raise PackageError(
            "the package link that AWS sent is no URL of a web server; it was not opened", code="link_refused"
        )
    if origin in hosts:
        return origin
    reason = _refusal(origin)
    if reason is not None:
        shown = str(origin)[:MAX_HOST_CHARACTERS]
        raise PackageError(
            f"the package link leads to {shown}, {reason}; it was not opened. Where that is right, give --package-host"
            f" {shown}",
            code="link_refused",
        )
    return origin


def check_address(text: str) -> str | None:
    """Return the kind of a forbidden address, None for an allowed one.

    Private ranges are allowed: an interface endpoint of S3 has such an address, and its certificate is checked.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        embedded = address.ipv4_mapped or address.sixtofour
        if embedded is None and (address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1)):
            embedded = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)  # NAT64 and the old IPv4-compatible form
        if embedded is not None:
            return check_address(str(embedded))
    elif address in _THIS_NETWORK:
        return "an unspecified address"
    if any(address in network for network in _METADATA):
        return "a metadata address"
    kinds = (
        (address.is_loopback, "a loopback address"),
        (address.is_link_local, "a link-local address"),
        (address.is_unspecified, "an unspecified address"),
        (address.is_multicast, "a multicast address"),
        (address.is_reserved, "a reserved address"),
    )
    return next((kind for is_of_kind, kind in kinds if is_of_kind), None)


def origin_of(url: str) -> Origin | None:
    """Return scheme, host and port of a URL that all parsers read alike and that names no user; None for others."""
    if not _FETCHABLE.fullmatch(url) or len(url) > MAX_LINK_CHARACTERS or "\\" in url or "#" in url:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc or "%" in parts.netloc or port == 0:
        return None
    if not _is_host(host) or parts.netloc.endswith(":"):
        return None
    return Origin(parts.scheme, host, port or _PORTS[parts.scheme])


def _is_host(host: str) -> bool:
    if ":" in host:  # urlsplit has checked the brackets
        return _is_address(host)
    return len(host) <= MAX_HOST_CHARACTERS and all(_LABEL.fullmatch(label) for label in host.split("."))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _suffix_of(host: str) -> str | None:
    return next((suffix for suffix in AWS_SUFFIXES if host.endswith(f".{suffix}")), None)


def _refusal(origin: Origin) -> str | None:
    """Return why an origin that the user did not name is no origin of S3; None if it is one."""
    if _is_address(origin.host):
        return "an address instead of a name"
    suffix = _suffix_of(origin.host)
    if suffix is None:
        return "which is no host of AWS"
    labels = origin.host.removesuffix(f".{suffix}").split(".")
    if not any(label == "s3" or label.startswith("s3-") for label in labels):
        return "which is not S3"
    if origin.scheme != "https":
        return "without TLS"
    return None if origin.port == _PORTS["https"] else "at another port than S3 has"
