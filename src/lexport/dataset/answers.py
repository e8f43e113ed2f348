"""What an object store answered: obstore's exceptions, sorted by what the caller does next. Pure.

obstore has one class for most failures; the status, the code and the kind of a broken connection are only in its text.
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from lexport.aws.errors import describe_skew, one_line
from lexport.dataset.store import UnavailableError

LONGEST_BODY = 16_384  # characters of an error's text that are looked at

_STATUS = re.compile(r"(?:status: |status code: |code: \")(\d{3})\b")  # the last one: of one object of Azure's batches
_CODE = re.compile(r"<Code>([A-Za-z0-9._-]{1,99})</Code>|\\?\"(?:code|reason)\\?\": ?\\?\"([A-Za-z0-9._-]{1,99})\\?\"")
_MESSAGE = re.compile(r"<Message>([^<]{1,500})</Message>|\\?\"message\\?\": ?\\?\"([^\"\\]{1,500})")
_REQUEST_TIME, _SERVER_TIME = (
    re.compile(rf"<{name}>([0-9TZ:.-]{{15,30}})</{name}>") for name in ("RequestTime", "ServerTime")
)
_KIND = re.compile(r"kind: (Connect|Timeout|Interrupted|Request|Decode|Unknown)\b")
_CAUSE = re.compile(
    r"message: \"([^\"]{1,200})\"|Custom \{\s*kind: \w+,\s*error: ([^\n]{1,200})|error: \"([^\"]{1,200})\""
)

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_SKEWED = "RequestTimeTooSkewed"
_FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "InsufficientAccountResources"}
_THROTTLED = {"SlowDown", "ServerBusy", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests"}


class Outcome(Enum):
    """What a failed request means for the caller."""

    ABSENT = "the object is not there"
    TAKEN = "a condition failed (412), so the request was not carried out"
    CONFLICT = "another request on this name was under way (409)"
    UNSENT = "the request was not sent, or it was refused for now; it was not carried out"
    BROKEN = "the server failed, and its answer came: what the object is now can be read"
    LOST = "no answer came: the request may be carried out, now or later"
    EXPIRED = "the credentials have expired"
    DENIED = "the caller may not do that"
    REFUSED = "any other refusal, or an answer that cannot be true"


_BY_CLASS = {
    "AlreadyExistsError": (Outcome.TAKEN, "it exists already"),
    "PreconditionError": (Outcome.TAKEN, "it was changed by another writer"),
    "UnauthenticatedError": (Outcome.DENIED, "no credentials could be loaded"),
}
_SERVER_ERROR = 500
_NO_SUCH_RANGE = 416
_BY_STATUS = {
    401: Outcome.DENIED,
    403: Outcome.DENIED,
    408: Outcome.BROKEN,
    409: Outcome.CONFLICT,
    412: Outcome.TAKEN,
    429: Outcome.UNSENT,
    502: Outcome.LOST,  # a gateway gave up; what is behind it may still work on the request
    504: Outcome.LOST,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A failed request; ``text`` says for a person what came back."""

    outcome: Outcome
    text: str
    status: int | None = None
    code: str = ""

    def error(self, target: str) -> OSError:
        """Return the OSError that a store raises for it."""
        number = {Outcome.ABSENT: errno.ENOENT, Outcome.TAKEN: errno.EEXIST, Outcome.DENIED: errno.EACCES}.get(
            self.outcome
        )
        if number is not None:
            return OSError(number, self.text, target)  # Python makes it FileNotFoundError or PermissionError
        if self.outcome is Outcome.EXPIRED:
            return PermissionError(errno.EACCES, self.text, target)
        late = self.outcome is Outcome.LOST and "in time" in self.text
        number = errno.ETIMEDOUT if late else errno.EDQUOT if self.code in _FULL else errno.EIO
        return UnavailableError(number, self.text, target)


def read_answer(error: Exception) -> Answer:
    """Sort an exception of obstore."""
    name, text = type(error).__name__, str(error)[:LONGEST_BODY]
    status = int(match[1]) if (match := _STATUS.search(text)) else None
    code = next((found for match in _CODE.finditer(text) for found in match.groups() if found), "")
    if code in {"NoSuchBucket", "ContainerNotFound"}:
        return Answer(Outcome.REFUSED, f"the bucket does not exist ({code})", status, code)
    if name in ("FileNotFoundError", "NotFoundError"):
        return Answer(Outcome.ABSENT, "it does not exist", status, code)
    if status is None:
        return _without_status(name, text)
    said = next((found for match in _MESSAGE.finditer(text) for found in match.groups() if found), "")
    shown = f"{status} {code}".strip() + (f": {one_line(said)}" if said else "")
    if code == _SKEWED:
        shown += f"; check this machine's clock{_skew(text)}"
    return Answer(_outcome(name, status, code), f"the server answered {shown}", status, code)


def _skew(text: str) -> str:
    """Say how wrong this machine's clock is: S3 repeats the time of the request and adds its own."""
    found = [_moment(match[1]) if (match := stamp.search(text)) else None for stamp in (_REQUEST_TIME, _SERVER_TIME)]
    ours, theirs = found
    return "" if ours is None or theirs is None else f", which is {describe_skew((ours - theirs).total_seconds())} S3's"


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def is_out_of_range(error: Exception) -> bool:
    """Return whether a range begins after the end of its object."""
    return read_answer(error).status == _NO_SUCH_RANGE or "Wanted range starting" in str(error)


def _outcome(name: str, status: int, code: str) -> Outcome:
    if name == "PreconditionError" or code == "BlobAlreadyExists":  # 404 of S3 after If-Match; 409 of Azure
        return Outcome.TAKEN
    if code in _EXPIRED:
        return Outcome.EXPIRED
    if code == _SKEWED:  # no other credentials would help
        return Outcome.REFUSED
    if code in _THROTTLED:
        return Outcome.UNSENT
    return _BY_STATUS.get(status, Outcome.BROKEN if status >= _SERVER_ERROR else Outcome.REFUSED)


def _without_status(name: str, text: str) -> Answer:
    if name in _BY_CLASS:
        return Answer(*_BY_CLASS[name])
    kind = match[1] if (match := _KIND.search(text)) else ""
    cause = next((found for match in _CAUSE.finditer(text) for found in match.groups() if found), "")
    why = f": {one_line(cause)}" if cause else ""
    match kind:
        case "Connect":
            return Answer(Outcome.UNSENT, f"no connection could be made{why}")
        case "Timeout":
            return Answer(Outcome.LOST, "no answer came in time")
        case "Interrupted" | "Request" | "Decode":
            return Answer(Outcome.LOST, f"the connection broke{why}")
    return Answer(Outcome.LOST, f"the answer cannot be used: {one_line(text.partition(chr(10))[0])}")
