"""All errors of lexport, in two families.

A ``RunError`` ends the run: nothing is published, and the command line prints the message and exits with its code. An
``ItemError`` loses one item, such as a function version or a package: it becomes a row of ``errors``, and the run goes
on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

if TYPE_CHECKING:
    from lexport.model import Source

E = TypeVar("E", bound=Exception)


class LexportError(Exception):
    """The base of both families: catch it to catch every error that lexport raises on purpose.

    Errors can be pickled, so that other processes can pass them on.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[E], arguments: tuple[Any, ...], values: dict[str, Any]) -> E:
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(values)
    return error


# --- errors that end the run --------------------------------------------------------------------------------------


class RunError(LexportError):
    """The call is ended, and nothing is published. ``exit_code`` is that of the command line."""

    exit_code: ClassVar[int] = 1


class SettingsError(RunError, ValueError):
    """A setting or an input file is wrong. ``option`` is the option, setting or file."""

    exit_code = 2

    def __init__(self, message: str, *, option: str | None = None) -> None:
        super().__init__(message)
        self.option = option


class CredentialsError(RunError):
    """No account-region could be read: there are no credentials, they have expired, or they permit nothing."""

    exit_code = 5


class FileError(RunError):
    """A file cannot be used. ``path`` is the file."""

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class WriteError(FileError):
    """The file system or the Parquet writer failed to write a file. ``path`` is the file."""


class WriteDeniedError(WriteError):
    """A bucket refused to write an object, for want of a permission or of valid credentials."""

    exit_code = 5


class UnknownCommitError(FileError):
    """The file system failed while the commit was written, so the commit may exist. No file of it was removed."""


class ReadError(FileError):
    """A file of the dataset is damaged or missing. ``path`` is the file."""


class PublishError(RunError):
    """The destination already holds this snapshot, or another run changed it or works on it.

    ``destination`` is its path or URL.
    """

    exit_code = 6

    def __init__(self, message: str, *, destination: str) -> None:
        super().__init__(message)
        self.destination = destination


class IncompleteError(RunError):
    """Something could not be read, and gaps are not allowed.

    ``result`` is the SnapshotResult or PackagesResult of the run; its ``failures`` say what is missing.
    """

    def __init__(self, message: str, *, result: object) -> None:
        super().__init__(message)
        self.result: Any = result  # SnapshotResult or PackagesResult, which are above this module


class DeadlineError(RunError):
    """The time that the run was given is over; what it read is kept."""


class CredentialsEndedError(IncompleteError):
    """The credentials expired in every account-region while it was read."""

    exit_code = 5


class NoSnapshotError(RunError):
    """The destination is valid, but holds no committed snapshot yet. ``destination`` is its path or URL."""

    def __init__(self, message: str, *, destination: str) -> None:
        super().__init__(message)
        self.destination = destination


class QueryError(RunError, ValueError):
    """The SQL is not one SELECT statement, or DuckDB rejected it."""

    exit_code = 2


class ViewError(RunError):
    """A shipped view does not work on the dataset. ``sql_file`` is the file of the view."""

    def __init__(self, message: str, *, sql_file: str) -> None:
        super().__init__(message)
        self.sql_file = sql_file


# --- errors that lose one item ------------------------------------------------------------------------------------


class ItemError(LexportError):
    """One item, such as a function version, is lost. It becomes a row of ``errors``, and the run goes on.

    ``code`` is AWS's error code, or one of lexport's if AWS sent none; ``http_status`` that of the response.
    ``retry_after_s`` is the delay that the server asked for, ``attempts`` the number of calls that were made.
    ``source`` is the connection on which AWS sent the error, if known. ``retryable`` is a property of the class.
    """

    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, code: str, http_status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = http_status
        self.retry_after_s = retry_after_s
        self.attempts = 1
        self.source: Source | None = None

    def copy(self) -> Self:
        """Return the error of an earlier call anew: the first one belongs to its own traceback and attempts."""
        return type(self)(str(self), code=self.code, http_status=self.http_status)


class FetchError(ItemError):
    """A call failed. AWS gave a reason that a retry does not change, unless a subclass is retryable."""


class AccessDeniedError(FetchError):
    """The caller has no permission to read this item."""


class NotOfferedError(AccessDeniedError):
    """The Region does not have the operation. AWS answers as if access were denied; only the message tells."""


class FunctionGoneError(FetchError):
    """The function, version or alias does not exist (404 ResourceNotFoundException)."""


class ServiceError(FetchError):
    """AWS failed, or the response is truncated or not from AWS (5xx, HTML, invalid JSON)."""

    retryable = True


class WrongAnswerError(ServiceError):
    """The response is well-formed, but it does not match the request."""


class NetworkError(FetchError):
    """The server could not be reached, or did not respond in time."""

    retryable = True


class ThrottledError(FetchError):
    """AWS throttled the call."""

    retryable = True


class FlattenError(ItemError):
    """The response cannot be turned into a row."""


class PackageError(ItemError):
    """A package could not be downloaded and verified.

    ``package`` is its CodeSha256, ``bytes_moved`` the number of bytes received.
    """

    package: str | None = None
    bytes_moved = 0


class PackageDeniedError(PackageError):
    """S3 denied the download for a reason that a fresh URL does not change, e.g. a KMS key or a bucket policy."""


class LinkExpiredError(PackageError):
    """The presigned URL has expired; another call returns a fresh one."""

    retryable = True


class TransferError(PackageError):
    """The transfer did not start, broke off or was too slow."""

    retryable = True


class HashMismatchError(PackageError):
    """The download differs in hash or size from what the response with the presigned URL announced."""

    def __init__(self, message: str, *, code: str = "hash_mismatch", expected: str, actual: str) -> None:
        super().__init__(message, code=code)
        self.expected = expected
        self.actual = actual


class ShardError(ItemError):
    """The rest of the account-region cannot be read."""


class ListingError(ShardError):
    """The pages of a listing repeat or do not end."""


class ExpiredCredentialsError(ShardError):
    """The credentials have expired or are not valid here, and refreshing them did not help."""


class ClockError(ShardError):
    """AWS rejects the signature because this machine's clock is wrong; other credentials would not help."""


class TokenRefusedError(ExpiredCredentialsError):
    """The Region rejects the keys or the token: they are too new, of another partition, or the Region is disabled."""

    retryable = True


class ArchiveError(ItemError):
    """A package, or one of its members, cannot be read because it is damaged or hostile. Its hash is right."""


def first_of(group: BaseExceptionGroup[E]) -> E:
    """Return the first error of a group. Groups are nested if the error passed through several task groups."""
    error = group.exceptions[0]
    return first_of(error) if isinstance(error, BaseExceptionGroup) else error
