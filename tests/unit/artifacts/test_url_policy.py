"""Which hosts a link may lead to: the rules, and that no trick gets past them."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from urllib.parse import urlsplit

import botocore
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from lexport.artifacts.url_policy import AWS_SUFFIXES, Origin, check_address, check_link, named_hosts
from lexport.errors import PackageError, SettingsError

NOBODY = frozenset()
S3 = "awslambda-us-east-1-tasks.s3.us-east-1.amazonaws.com"


def test_every_partition_is_known():
    """The suffixes are those of botocore's partitions."""
    partitions = json.loads(Path(botocore.__file__).with_name("data").joinpath("partitions.json").read_text())
    known = {partition["outputs"]["dnsSuffix"] for partition in partitions["partitions"]}

    assert known == set(AWS_SUFFIXES)


@pytest.mark.parametrize(
    "host",
    [
        S3,
        S3.upper(),
        "prod-04-2014-tasks.s3.us-east-1.amazonaws.com",
        "awslambda-ap-ne-1-tasks.s3.ap-northeast-1.amazonaws.com",
        "s3.amazonaws.com",
        "s3-us-east-1.amazonaws.com",
        "bucket.s3-us-west-2.amazonaws.com",
        "bucket.s3.dualstack.us-east-1.amazonaws.com",
        "bucket.with.dots.s3.us-east-1.amazonaws.com",
        "bucket_old.s3.us-east-1.amazonaws.com",
        "bucket.s3-accelerate.amazonaws.com",
        "bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com",
        "awslambda-cn-north-1-tasks.s3.cn-north-1.amazonaws.com.cn",
        "awslambda-eusc.s3.eusc-de-east-1.amazonaws.eu",
        "b.s3.us-gov-west-1.amazonaws.com",
        "b.s3.us-iso-east-1.c2s.ic.gov",
        "b.s3.us-isob-east-1.sc2s.sgov.gov",
        "b.s3.eu-isoe-west-1.cloud.adc-e.uk",
        "b.s3.us-isof-south-1.csp.hci.ic.gov",
        S3 + ":443",
    ],
)
def test_s3_of_every_partition(host):
    """All forms of S3's host names may be opened over TLS."""
    assert check_link(f"https://{host}/snapshots/1/f?X-Amz-Signature=x", NOBODY) == Origin(
        "https", host.lower().removesuffix(":443"), 443
    )


@pytest.mark.parametrize(
    "url",
    [
        f"http://{S3}/x",
        f"http://{S3}:443/x",
        "https://s3x.us-east-1.amazonaws.com/x",
        "https://s3evil.execute-api.us-east-1.amazonaws.com/x",
        f"ftp://{S3}/x",
        f"s3://{S3}/x",
        f"//{S3}/x",
        f"https:/{S3}/x",
        "https:///x",
        "https://",
        "",
        f"https://{S3}:8443/x",
        f"https://{S3}:80/x",
        f"https://{S3}:0/x",
        f"https://{S3}:/x",
        f"https://{S3}:x/x",
        f"https://{S3}:99999/x",
        f"https://{S3}./x",
        f"https://user@{S3}/x",
        f"https://user:password@{S3}/x",
        f"https://{S3}@evil.example/x",
        f"https://evil.example/{S3}",
        f"https://evil.example#{S3}",
        f"https://evil.example\\.{S3}/x",
        f"https://{S3}\\@evil.example/x",
        f"https://evil.example%2f.{S3}/x",
        f"https://evil.example%00.{S3}/x",
        "https://s3.evilamazonaws.com/x",
        "https://s3.amazonaws.com.evil.example/x",
        "https://amazonaws.com/x",
        "https://s3.amazonaws.co/x",
        "https://abc.execute-api.us-east-1.amazonaws.com/x",
        "https://x.elb.us-east-1.amazonaws.com/x",
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[fd00:ec2::254]/x",
        "https://[::ffff:169.254.169.254]/x",
        "https://2852039166/x",
        "https://0x7f.1/x",
        "https://localhost/x",
        "https://.s3.amazonaws.com/x",
        "https://a..s3.amazonaws.com/x",
        "https://-a.s3.amazonaws.com/x",
        f"https://{'a.' * 130}s3.amazonaws.com/x",
        f"https://{S3}/" + "x" * 20_000,
        "https://\u017f3.amazonaws.com/x",
        "https://s3\u3002amazonaws.com/x",
        "https://s3.amazonaws.com\uff0fx",
        f"https://{S3}/a b",
        f"https://{S3}/a\r\nHost: evil",
        f"https://{S3}\t/x",
        f" https://{S3}/x",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://[::1/x",
    ],
)
def test_other_urls_are_refused(url):
    """A URL that is not of S3, or that parsers read differently, is not opened; the error does not show the link."""
    with pytest.raises(PackageError) as caught:
        check_link(url + ("" if "canary" in url else "?X-Amz-Signature=canary"), NOBODY)

    assert caught.value.code == "link_refused"
    assert "canary" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("endpoint", "hosts", "url", "is_allowed"),
    [
        ("http://127.0.0.1:4566", (), "http://127.0.0.1:4566/x", True),
        ("http://127.0.0.1:4566", (), "https://127.0.0.1:4566/x", False),
        ("http://127.0.0.1:4566", (), "http://127.0.0.1:4567/x", False),
        ("http://LocalHost:4566/base", (), "http://localhost:4566/x", True),
        ("https://lambda.corp.example", (), "https://lambda.corp.example:443/x", True),
        ("https://lambda.corp.example", (), "http://lambda.corp.example/x", False),
        ("http://127.0.0.1:4566", ("s3.localhost:4566",), "http://s3.localhost:4566/x", True),
        ("http://127.0.0.1:4566", ("s3.localhost:4566",), "https://s3.localhost:4566/x", True),
        ("https://127.0.0.1:4566", ("s3.localhost:4566",), "http://s3.localhost:4566/x", False),
        (None, ("mirror.example",), "https://mirror.example/x", True),
        (None, ("mirror.example",), "http://mirror.example/x", False),
        (None, ("mirror.example",), "https://a.mirror.example/x", False),
        (None, ("[::1]:8443",), "https://[::1]:8443/x", True),
        (None, (S3 + ":8443",), f"https://{S3}:8443/x", True),
        ("http://127.0.0.1:4566", (), f"https://{S3}/x", True),
        ("http://127.0.0.1:4566", (), f"http://{S3}/x", False),
        ("https://lambda.us-east-1.amazonaws.com", (), "https://lambda.us-east-1.amazonaws.com/x", False),
    ],
)
def test_hosts_that_the_user_named(endpoint, hosts, url, is_allowed):
    """Exactly the host and port that the user named may be opened too, without TLS only if the endpoint has none."""
    named = named_hosts(endpoint_url=endpoint, package_hosts=hosts)
    if is_allowed:
        assert check_link(url, named).host in url.lower()
    else:
        with pytest.raises(PackageError):
            check_link(url, named)


@pytest.mark.parametrize("text", ["", "https://host", "host/path", "user@host", "host:port", "a b", "host:0", "h\\x"])
def test_an_invalid_package_host(text):
    """--package-host is checked at the start."""
    with pytest.raises(SettingsError, match="--package-host is a HOST or HOST:PORT") as caught:
        named_hosts(endpoint_url=None, package_hosts=(text,))

    assert caught.value.option == "--package-host"


PIECES = st.sampled_from(
    (
        *(
            "https://",
            "http://",
            S3,
            "s3.amazonaws.com",
            ".",
            "/",
            "\\",
            "@",
            ":",
            "443",
            "#",
            "?",
            "%2e",
            "%",
            "[",
            "]",
        ),
        *("::1", "evil.example", "127.0.0.1", "\t", "\n", " ", "é", "\u3002", "x", "S3", ";", "//"),
    )
)


@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=9).map("".join)))
@example(f"https://{S3}/x")
def test_allowed_urls_are_read_alike(url):
    """An allowed URL leads over TLS to a host below a suffix of AWS, for both parsers in use."""
    try:
        origin = check_link(url, NOBODY)
    except PackageError:
        return
    sent, parts = URL(url, encoded=True), urlsplit(url)

    assert (sent.scheme, (sent.raw_host or "").lower(), sent.port) == ("https", origin.host, 443)
    assert (parts.hostname, sent.user, sent.password) == (origin.host, None, None)
    assert any(origin.host.endswith(f".{suffix}") for suffix in AWS_SUFFIXES)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "a loopback address"),
        ("127.8.9.1", "a loopback address"),
        ("::1", "a loopback address"),
        ("::ffff:127.0.0.1", "a loopback address"),
        ("::127.0.0.1", "a loopback address"),
        ("64:ff9b::7f00:1", "a loopback address"),
        ("2002:7f00:1::", "a loopback address"),
        ("169.254.169.254", "a link-local address"),
        ("169.254.170.2", "a link-local address"),
        ("::ffff:169.254.169.254", "a link-local address"),
        ("64:ff9b::a9fe:a9fe", "a link-local address"),
        ("fe80::1", "a link-local address"),
        ("fe80::1%eth0", "a link-local address"),
        ("fd00:ec2::254", "a metadata address"),
        ("0.0.0.0", "an unspecified address"),
        ("0.1.2.3", "an unspecified address"),
        ("::", "an unspecified address"),
        ("224.0.0.1", "a multicast address"),
        ("ff02::1", "a multicast address"),
        ("255.255.255.255", "a reserved address"),
        ("240.0.0.1", "a reserved address"),
        ("10.1.2.3", None),
        ("172.16.0.1", None),
        ("192.168.1.1", None),
        ("100.64.0.1", None),
        ("fd12:3456::1", None),
        ("52.216.1.1", None),
        ("2600:1fa0::1", None),
        ("64:ff9b::34d8:101", None),
        ("::ffff:10.1.2.3", None),
    ],
)
def test_addresses(address, kind):
    """Loopback, link-local, metadata, unspecified and multicast addresses are refused in every spelling."""
    assert check_address(address) == kind


@given(st.ip_addresses(v=4))
def test_every_form_of_an_address(address):
    """An IPv4 address inside an IPv6 address is checked as IPv4."""
    mapped = ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)

    assert check_address(str(mapped)) == check_address(str(address))
