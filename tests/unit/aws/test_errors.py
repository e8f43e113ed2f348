"""Their errors become ours, by one table, and without a secret."""

from __future__ import annotations

import json

import pytest
from botocore import exceptions as boto
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from lexport.aws.botocore_errors import translate_errors
from lexport.aws.errors import error_from_response, one_line
from lexport.aws.http.message import Response
from lexport.errors import (
    AccessDeniedError,
    CredentialsError,
    ExpiredCredentialsError,
    FetchError,
    FunctionGoneError,
    LexportError,
    NetworkError,
    ServiceError,
    SettingsError,
    ThrottledError,
    TokenRefusedError,
)

SECRET = "canary/Secret+Key" * 3
TOKEN = "canary+Token/with=" * 6


def fault(status, body=b"", secrets=(), item="f", **headers):
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    return error_from_response(Response(status, named, content), operation="GetFunction", item=item, secrets=secrets)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "TooManyRequestsException", ThrottledError),
        (400, "ThrottlingException", ThrottledError),
        (400, "Throttling", ThrottledError),
        (503, "RequestLimitExceeded", ThrottledError),
        (400, "ThrottledException", ThrottledError),
        (503, "SlowDown", ThrottledError),
        (400, "RequestThrottled", ThrottledError),
        (400, "RequestThrottledException", ThrottledError),
        (400, "EC2ThrottledException", ThrottledError),
        (400, "BandwidthLimitExceeded", ThrottledError),
        (400, "PriorRequestNotComplete", ThrottledError),
        (429, "SomethingNew", ThrottledError),
        (403, "AccessDeniedException", AccessDeniedError),
        (403, "AccessDenied", AccessDeniedError),
        (403, "UnauthorizedOperation", AccessDeniedError),
        (502, "KMSAccessDeniedException", AccessDeniedError),
        (404, "ResourceNotFoundException", FunctionGoneError),
        (500, "ServiceException", ServiceError),
        (500, "InternalFailure", ServiceError),
        (500, "InternalError", ServiceError),
        (503, "ServiceUnavailable", ServiceError),
        (503, "ServiceUnavailableException", ServiceError),
        (504, "SomethingNew", ServiceError),
        (403, "ExpiredToken", ExpiredCredentialsError),
        (403, "ExpiredTokenException", ExpiredCredentialsError),
        (400, "RequestExpired", ExpiredCredentialsError),
        (403, "UnrecognizedClientException", TokenRefusedError),
        (403, "InvalidClientTokenId", TokenRefusedError),
        (403, "InvalidSignatureException", ExpiredCredentialsError),
        (403, "SignatureDoesNotMatch", ExpiredCredentialsError),
        (403, "IncompleteSignature", ExpiredCredentialsError),
        (403, "MissingAuthenticationToken", ExpiredCredentialsError),
        (403, "MissingAuthenticationTokenException", ExpiredCredentialsError),
        (403, "InvalidAccessKeyId", TokenRefusedError),
        (403, "OptInRequired", ExpiredCredentialsError),
        (401, "AuthFailure", TokenRefusedError),
        (400, "InvalidParameterValueException", FetchError),
        (400, "ValidationException", FetchError),
        (404, "SomethingNew", FetchError),
    ],
)
def test_each_code_has_its_class(status, code, kind):
    """The same code means the same from header and body, with a namespace and a link beside it."""
    found = [
        fault(status, {"message": "no"}, x_amzn_errortype=code),
        fault(status, {"message": "no"}, x_amzn_errortype=f"{code}:http://internal.amazon.com/coral/"),
        fault(status, {"__type": f"com.amazonaws.lambda#{code}", "Message": "no"}),
        fault(status, {"code": code}),
        fault(status, {"Code": code, "Type": "User"}),
        fault(status, {"Type": code}),
    ]

    assert [(type(error), error.code, error.http_status) for error in found] == [(kind, code, status)] * 6


@pytest.mark.parametrize("word", ["User", "Sender", "Service", "Server", "Receiver"])
def test_who_is_to_blame_is_no_code(word):
    """`Type` often says whose fault it is, which is not an error code."""
    error = fault(400, {"Type": word, "message": "no"})

    assert (type(error), error.code) == (FetchError, "http_400")


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (404, b"<!DOCTYPE html><html>Not here</html>", FetchError, "http_404"),
        (404, b"", FetchError, "http_404"),
        (404, b'{"error": "no route"}', FetchError, "http_404"),
        (404, b'{"code": 404, "message": "no route"}', FetchError, "http_404"),
        (403, b"<html>blocked by policy", FetchError, "http_403"),
        (403, b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", FetchError, "http_403"),
        (403, b'{"message": "Forbidden"}', FetchError, "http_403"),
        (401, b"login first", FetchError, "http_401"),
        (301, b"", FetchError, "http_301"),
        (302, b"<html>", FetchError, "http_302"),
        (407, b"", FetchError, "http_407"),
        (204, b"", FetchError, "http_204"),
        (429, b"<html>slow down", ThrottledError, "http_429"),
        (500, b"", ServiceError, "http_500"),
        (502, b"<html>bad gateway", ServiceError, "http_502"),
        (503, b"\xff\xfe\x00", ServiceError, "http_503"),
        (599, b"{broken", ServiceError, "http_599"),
    ],
)
def test_a_status_alone_means_little(status, body, kind, code):
    """What is not AWS's answer never says gone or denied; it says what it is."""
    error = fault(status, body)

    assert (type(error), error.code) == (kind, code)
    assert "not by AWS" in str(error)


def test_denied_without_a_message():
    """An ARN of another account gets a 403 whose message is null; AWS's request id tells it from a proxy's."""
    for body in ({"Message": None}, {"message": None}):
        error = fault(403, body, x_amzn_requestid="1-2-3")

        assert (type(error), error.code) == (AccessDeniedError, "http_403")


def test_the_message_says_what_was_asked_and_what_came_back():
    """Operation, item, code, AWS's words, its reason and the status stand in one line."""
    error = fault(
        429,
        {"Reason": "CallerRateLimitExceeded", "Type": "User", "message": "Rate exceeded"},
        x_amzn_errortype="TooManyRequestsException",
    )

    assert str(error) == ("GetFunction f: TooManyRequestsException: Rate exceeded (CallerRateLimitExceeded) (HTTP 429)")


@pytest.mark.parametrize("key", ["message", "Message", "errorMessage"])
def test_the_message_has_many_names(key):
    """AWS writes the key in three ways."""
    assert "told you so" in str(fault(400, {key: "told you so"}, x_amzn_errortype="X"))


def test_a_skewed_clock_is_named():
    """A signature that is too old or too new is a matter of the clock."""
    for text in ("Signature expired: 20260101T000000Z is now earlier than", "Signature not yet current: 2026"):
        assert "clock" in str(fault(403, {"message": text}, x_amzn_errortype="InvalidSignatureException"))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("Fri, 06 Mar 2026 12:00:10 GMT", 10.0),
        ("Fri, 06 Mar 2026 11:00:00 GMT", None),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("1e999", None),
        ("nan", None),
        ("٣", None),
        ("9" * 400, None),
    ],
)
def test_retry_after(value, seconds):
    """Seconds and dates are read; everything else counts as absent."""
    error = fault(429, retry_after=value, date="Fri, 06 Mar 2026 12:00:00 GMT")

    assert error.retry_after_s == seconds


def test_the_echoed_request_is_not_repeated():
    """AWS quotes the request whose signature it does not like, session token and all: only its first line is kept."""
    text = (
        "The request signature we calculated does not match the signature you provided.\n\n"
        f"The Canonical String for this request should have been\n'GET\n/x\n\nx-amz-security-token:{TOKEN}\n\n'"
    )
    error = fault(403, {"message": text}, secrets=(SECRET, TOKEN), x_amzn_errortype="InvalidSignatureException")

    assert "does not match the signature you provided." in str(error)
    assert "canary" not in str(error)


@pytest.mark.parametrize(
    "text",
    [
        f"echo {TOKEN} and {SECRET}",
        f"echo {TOKEN.replace('+', '%2B').replace('/', '%2F').replace('=', '%3D')}",
        "https://b.s3.amazonaws.com/k?X-Amz-Credential=canary%2F&X-Amz-Signature=canary&X-Amz-Security-Token=canary",
        "GET /?x-amz-signature%3Dcanary",
        "x-amz-security-token:canary",
        "AWS4-HMAC-SHA256 Credential=canary/20260101/r/s, SignedHeaders=host, Signature=canary",
        "x" * 495 + TOKEN,
    ],
)
def test_secrets_are_removed_from_what_aws_says(text):
    """Neither our secrets nor signed links leave in a message."""
    error = fault(400, {"message": text}, secrets=(SECRET, TOKEN, None), x_amzn_errortype="ValidationException")

    assert "canary" not in str(error)


@given(st.text(max_size=2000))
def test_a_line_is_a_line(text):
    """Any text becomes one printable line of at most 500 characters."""
    line = one_line(text)

    assert len(line) <= 500
    assert line.isprintable()


@given(st.binary(max_size=300), st.integers(200, 599), st.text(max_size=50))
def test_any_answer_becomes_an_error(body, status, errortype):
    """No answer, however odd, is a bug."""
    error = fault(status, body, x_amzn_errortype=errortype)

    assert isinstance(error, LexportError)
    assert error.code


def raising(error):
    """Something of botocore's that fails."""

    async def work():
        raise error

    return work


def refused(code, message="no", status=403):
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(answer, "AssumeRole")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (boto.NoCredentialsError(), CredentialsError, "AWS_PROFILE"),
        (boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), CredentialsError, "complete"),
        (boto.ProfileNotFound(profile="work"), SettingsError, "work"),
        (boto.ConfigParseError(path="/c"), SettingsError, "/c"),
        (boto.ConfigNotFound(path="/c"), SettingsError, "/c"),
        (boto.InvalidConfigError(error_msg="half a role"), CredentialsError, "half a role"),
        (boto.SSOTokenLoadError(error_msg="none"), CredentialsError, "aws sso login --profile work"),
        (boto.UnauthorizedSSOTokenError(), CredentialsError, "aws sso login --profile work"),
        (boto.TokenRetrievalError(provider="sso", error_msg="x"), CredentialsError, "aws sso login --profile work"),
        (boto.LoginRefreshRequired(), CredentialsError, "aws login --profile work"),
        (boto.CredentialRetrievalError(provider="custom-process", error_msg="exit 1"), CredentialsError, "exit 1"),
        (boto.RefreshWithMFAUnsupportedError(), CredentialsError, "MFA"),
        (boto.MetadataRetrievalError(error_msg="timeout"), CredentialsError, "timeout"),
        (RuntimeError("the refreshed credentials are still expired"), CredentialsError, "renew"),
        (FileNotFoundError(2, "No such file", "/bin/vault"), CredentialsError, "/bin/vault"),
        (boto.NoRegionError(), SettingsError, "AWS_REGION"),
        (boto.EndpointConnectionError(endpoint_url="https://u:canary@sts.x/?canary"), NetworkError, "sts.x"),
        (boto.ProxyConnectionError(proxy_url="http://u:canary@proxy"), NetworkError, "HTTPS_PROXY"),
        (boto.ConnectTimeoutError(endpoint_url="https://sts.x"), NetworkError, "sts.x"),
        (refused("ExpiredTokenException"), CredentialsError, "renew"),
        (refused("AccessDenied", "may not sts:AssumeRole"), CredentialsError, "may not sts:AssumeRole"),
        (refused("ThrottlingException"), ThrottledError, "AssumeRole"),
        (refused("Whatever", status=500), ServiceError, "AssumeRole"),
        (refused("SignatureDoesNotMatch", "no\nx-amz-security-token:canary"), CredentialsError, "no"),
    ],
)
async def test_botocores_exceptions(error, kind, words):
    """Each becomes ours, says what to do, and hides what must be hidden."""
    with pytest.raises(kind) as caught:
        await translate_errors(raising(error), doing="cannot load AWS credentials", profile="work")

    assert "cannot load AWS credentials" in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert words in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.asyncio
async def test_the_option_is_named():
    """A profile that does not exist is wrong use of --profile."""
    with pytest.raises(SettingsError) as caught:
        await translate_errors(raising(boto.ProfileNotFound(profile="work")), doing="x", profile="work")

    assert caught.value.option == "--profile"


@pytest.mark.asyncio
async def test_ours_and_bugs_pass_through():
    """Our own errors and programming errors are not dressed up."""
    for error in (CredentialsError("ours"), ZeroDivisionError()):
        with pytest.raises(type(error)) as caught:
            await translate_errors(raising(error), doing="x", profile=None)

        assert caught.value is error


@pytest.mark.asyncio
async def test_the_network_below_a_provider():
    """An error of the network is a retryable NetworkError, whatever exception a credential provider wraps it in."""

    below = boto.EndpointConnectionError(endpoint_url="http://169.254.170.2/v2/canary")

    async def load():
        try:
            await raising(below)()
        except boto.EndpointConnectionError as error:
            raise boto.CredentialRetrievalError(provider="container-role", error_msg=str(error)) from error

    with pytest.raises(NetworkError, match=r"^cannot reach 169\.254\.170\.2: ") as caught:
        await translate_errors(load, doing="cannot load AWS credentials", profile=None)

    assert "canary" not in str(caught.value)


@pytest.mark.asyncio
async def test_links_in_what_a_provider_says_are_cut():
    """Of a URL in the words of a helper or of a library no more than the host is repeated."""
    text = 'no answer of "http://user:canary@vault.example:8200/v1/canary?token=canary", sorry'
    error = boto.CredentialRetrievalError(provider="custom-process", error_msg=text)
    with pytest.raises(CredentialsError, match=r'"http://vault\.example:8200", sorry') as caught:
        await translate_errors(raising(error), doing="x", profile=None)

    assert "canary" not in str(caught.value)
