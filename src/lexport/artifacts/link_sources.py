"""Referenced package or layer version -> a fresh presigned URL, from the first function version that may have one."""

from __future__ import annotations

from collections.abc import Sequence

from lexport.artifacts.package_refs import FunctionVersionRef, ReferencedLayer, ReferencedPackage, S3Object
from lexport.artifacts.scope_calls import ScopeCalls
from lexport.aws.redact import remove_presigned_urls
from lexport.errors import AccessDeniedError, FetchError, FunctionGoneError, ItemError
from lexport.extract.decode import decode_function, decode_object
from lexport.extract.match_response import check_function, check_layer_version
from lexport.model import LATEST, FunctionRef, Link, PackageRef, Priority, Reply
from lexport.tables.functions import GET_FUNCTION
from lexport.tables.layer_versions import GET_LAYER_VERSION


class PackageLinks:
    """Requests fresh links to one package. ``ref`` is the function version that the last request was about."""

    def __init__(self, calls: ScopeCalls, item: ReferencedPackage) -> None:
        self.ref = item.refs[0]
        self._calls, self._item = calls, item
        self._refs = list(item.refs)
        self._errors: list[ItemError] = []

    async def request_link(self) -> Link:
        """Return a link from the first function version that has one; raises ItemError where none of them has.

        A function version that fails, or that has other code by now, gets no second request, unless it is the last.
        """
        while self._refs:
            self.ref = self._refs[0]
            try:
                link = await self._request(self.ref)
            except ItemError as error:
                self._errors.append(error)
                del self._refs[0]
                continue
            if link.package.code_sha256 == self._item.package.code_sha256 or len(self._refs) == 1:
                return link
            del self._refs[0]
        raise _first_gap(self._errors)

    async def _request(self, ref: FunctionVersionRef) -> Link:
        s3 = self._item.s3_object
        if s3 is not None:
            url = await self._calls.presign(ref.scope, s3.bucket, s3.key, s3.version)
            return Link(url=url, package=self._item.package)
        qualifier = None if ref.version == LATEST else ref.version
        function = FunctionRef(function_name=ref.function_name, qualifier=qualifier)
        reply = await self._calls.call(
            ref.scope,
            GET_FUNCTION,
            decode_function,
            check_function,
            function,
            ref.scope,
            priority=Priority.PACKAGES,
            function_name=ref.function_name,
            qualifier=qualifier,
        )
        link = link_of(reply)
        if link is None:
            raise _missing_link(reply.document.get("Code"))
        return link


class LayerLinks:
    """Requests one layer version, and fresh links to its content, in the account-regions that use it.

    ``s3_object`` is set where the layer version is in the customer's own bucket.
    """

    def __init__(self, calls: ScopeCalls, item: ReferencedLayer) -> None:
        self.s3_object: S3Object | None = None
        self._calls, self._item = calls, item
        self._scopes = list(dict.fromkeys(ref.scope for ref in item.refs))

    async def request_layer_version(self) -> Reply:
        """Return the response of the first account-region that is not refused; raises ItemError where all are."""
        errors: list[ItemError] = []
        arn = self._item.layer_arn
        for scope in self._scopes:
            try:
                reply = await self._calls.call(
                    scope, GET_LAYER_VERSION, decode_object, check_layer_version, arn, arn=arn
                )
            except ItemError as error:
                errors.append(error)
            else:
                self._scopes = [scope]
                return reply
        raise _first_gap(errors)

    async def request_link(self) -> Link:
        """Return a fresh link to the content."""
        reply = await self.request_layer_version()
        value = reply.document.get("Content")
        content = value if isinstance(value, dict) else {}
        package = PackageRef(code_sha256=str(content.get("CodeSha256", "")), size_bytes=_size(content.get("CodeSize")))
        if self.s3_object is not None:
            s3 = self.s3_object
            url = await self._calls.presign(self._scopes[0], s3.bucket, s3.key, s3.version)
            return Link(url=url, package=package)
        if reply.location is None:
            raise _missing_link(value)
        return Link(url=reply.location, package=package)


def link_of(reply: Reply) -> Link | None:
    """Return the link of a GetFunction response with the hash and size from the same response; None without one."""
    configuration = reply.document.get("Configuration")
    if reply.location is None or not isinstance(configuration, dict):
        return None
    if not isinstance(configuration.get("CodeSha256"), str):
        return None
    package = PackageRef(code_sha256=configuration["CodeSha256"], size_bytes=_size(configuration.get("CodeSize")))
    return Link(url=reply.location, package=package)


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def s3_object_of(code: object) -> S3Object | None:
    """Return the S3 object of ``Code`` or ``Content`` that is in the customer's own bucket, None where it is not."""
    resolved = code.get("ResolvedS3Object") if isinstance(code, dict) else None
    if not isinstance(resolved, dict) or not resolved.get("S3Bucket") or not resolved.get("S3Key"):
        return None
    version = resolved.get("S3ObjectVersion")
    return S3Object(
        bucket=str(resolved["S3Bucket"]), key=str(resolved["S3Key"]), version=str(version) if version else None
    )


def _missing_link(code: object) -> FetchError:
    """Return the error for a response without a link. AWS gives the reason in ``Error``, e.g. a denied KMS key."""
    error = code.get("Error") if isinstance(code, dict) else None
    if not isinstance(error, dict):
        return FetchError("AWS's answer has no link to the package", code="no_link")
    name, message = str(error.get("ErrorCode") or "unknown"), remove_presigned_urls(str(error.get("Message") or ""))
    kind = AccessDeniedError if "Denied" in name or "KMS" in name else FetchError
    return kind(f"AWS does not hand out the package: {name}: {message}", code=name)


def _first_gap(errors: Sequence[ItemError]) -> ItemError:
    return next((error for error in errors if not isinstance(error, FunctionGoneError)), errors[0])
