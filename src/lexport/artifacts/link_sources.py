"""a wanted package or layer version -> a fresh link to it, asked of whoever refers to it until one may have it."""

from __future__ import annotations

from collections.abc import Sequence

from lexport.artifacts.wanted import Referrer, S3Object, WantedLayer, WantedPackage
from lexport.aws.redact import remove_presigned_urls
from lexport.errors import AccessDeniedError, FetchError, FunctionGoneError, ItemError
from lexport.extract.decode import decode_function, decode_object
from lexport.extract.doors import Doors
from lexport.extract.failures import GONE
from lexport.extract.match_response import check_function, check_layer_version
from lexport.model import LATEST, FunctionRef, Link, PackageRef, Priority, Reply


class PackageSource:
    """Asks for fresh links to one package: of the versions that refer to it, until one has it."""

    def __init__(self, doors: Doors, wanted: WantedPackage) -> None:
        self.referrer = wanted.referrers[0]
        self._doors = doors
        self._wanted = wanted
        self._left = list(wanted.referrers)
        self._errors: list[ItemError] = []

    async def ask_link(self) -> Link:
        """Return a link; raises ItemError where none of the versions has one."""
        while self._left:
            self.referrer = self._left[0]
            try:
                link = await self._ask(self.referrer)
            except ItemError as error:
                self._errors.append(error)
                del self._left[0]
                continue
            if link.package.code_sha256 == self._wanted.package.code_sha256 or len(self._left) == 1:
                return link
            del self._left[0]  # it has changed; another may still have what is wanted
        raise _most_telling(self._errors)

    async def _ask(self, referrer: Referrer) -> Link:
        s3 = self._wanted.s3_object
        if s3 is not None:
            url = await self._doors.presign(referrer.scope, s3.bucket, s3.key, s3.version)
            return Link(url=url, package=self._wanted.package)
        qualifier = None if referrer.version == LATEST else referrer.version
        ref = FunctionRef(function_name=referrer.function_name, qualifier=qualifier)
        reply = await self._doors.call(
            referrer.scope,
            "GetFunction",
            lambda api: api.get_function(ref.function_name, qualifier),
            decode_function,
            check_function,
            ref,
            referrer.scope,
            priority=Priority.PACKAGES,
        )
        link = link_of(reply)
        if link is None:
            raise _no_link(reply.document.get("Code"))
        return link


class LayerSource:
    """Asks about one layer version, in the account-regions that use it, until one may know."""

    def __init__(self, doors: Doors, wanted: WantedLayer) -> None:
        self.s3_object: S3Object | None = None
        self._doors = doors
        self._wanted = wanted
        self._scopes = list(dict.fromkeys(referrer.scope for referrer in wanted.referrers))

    async def ask(self) -> Reply:
        """Return the answer of the first account-region that is let in; raises ItemError where none is."""
        errors: list[ItemError] = []
        arn = self._wanted.layer_arn
        for scope in self._scopes:
            try:
                reply = await self._doors.call(
                    scope,
                    "GetLayerVersionByArn",
                    lambda api: api.get_layer_version_by_arn(arn),
                    decode_object,
                    check_layer_version,
                    arn,
                    priority=Priority.LAYERS,
                )
            except ItemError as error:
                errors.append(error)
            else:
                self._scopes = [scope]
                return reply
        raise _most_telling(errors)

    async def ask_link(self) -> Link:
        """Return a fresh link to the content."""
        reply = await self.ask()
        content = reply.document.get("Content")
        told = content if isinstance(content, dict) else {}
        package = PackageRef(code_sha256=str(told.get("CodeSha256", "")), size_bytes=_size(told.get("CodeSize")))
        if self.s3_object is not None:
            s3 = self.s3_object
            url = await self._doors.presign(self._scopes[0], s3.bucket, s3.key, s3.version)
            return Link(url=url, package=package)
        if reply.location is None:
            raise _no_link(content)
        return Link(url=reply.location, package=package)


def link_of(reply: Reply) -> Link | None:
    """Return the link of a GetFunction answer with what the same answer says of the bytes."""
    told = reply.document.get("Configuration")
    if reply.location is None or not isinstance(told, dict) or not isinstance(told.get("CodeSha256"), str):
        return None
    package = PackageRef(code_sha256=told["CodeSha256"], size_bytes=_size(told.get("CodeSize")))
    return Link(url=reply.location, package=package)


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def s3_object_of(code: object) -> S3Object | None:
    """Return where the customer keeps a code or a layer's content, where that is in a bucket of their own."""
    found = code.get("ResolvedS3Object") if isinstance(code, dict) else None
    if not isinstance(found, dict) or not found.get("S3Bucket") or not found.get("S3Key"):
        return None
    version = found.get("S3ObjectVersion")
    return S3Object(bucket=str(found["S3Bucket"]), key=str(found["S3Key"]), version=str(version) if version else None)


def _no_link(code: object) -> FetchError:
    """Say why an answer has no link: AWS says it in ``Error``, where the package's key is denied."""
    error = code.get("Error") if isinstance(code, dict) else None
    if not isinstance(error, dict):
        return FetchError("AWS's answer has no link to the package", code="no_link")
    name, message = str(error.get("ErrorCode") or "unknown"), remove_presigned_urls(str(error.get("Message") or ""))
    kind = AccessDeniedError if "Denied" in name or "KMS" in name else FetchError
    return kind(f"AWS does not hand out the package: {name}: {message}", code=name)


def _most_telling(errors: Sequence[ItemError]) -> ItemError:
    """Choose the error to tell. What is gone everywhere is not in the fleet any more, so nothing is missing."""
    for error in errors:
        if not isinstance(error, FunctionGoneError):
            return error
    gone = FunctionGoneError(str(errors[0]), code=GONE, http_status=errors[0].http_status)
    gone.attempts = errors[0].attempts
    return gone
