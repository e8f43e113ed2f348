"""The whole family of errors on one page. ``RunError`` ends a run; ``ItemError`` loses one item and becomes a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

if TYPE_CHECKING:
    from lexport.model import Source

E = TypeVar("E", bound=Exception)


class LexportError(Exception):
    """Catch this to catch everything lexport raises on purpose."""


# --- the run cannot go on -----------------------------------------------------------------------------------------


class RunError(LexportError):
    """The run cannot go on: it is cancelled and nothing is published."""

    exit_code: ClassVar[int] = 1


class SettingsError(RunError, ValueError):
    """An option or an input file is wrong; ``option`` names it."""

    exit_code = 2

    def __init__(self, message: str, *, option: str | None = None) -> None:
        super().__init__(message)
        self.option = option


class CredentialsError(RunError):
    """No account-region could be entered: no credentials, expired ones, or permission for nothing at all."""

    exit_code = 5


class WriteError(RunError):
    """The disk or the Parquet writer refused; ``path`` is where."""

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class UnknownCommitError(RunError):
    """It cannot be found out whether the commit exists; ``path`` is where. Nothing of the snapshot was removed."""

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class ReadError(RunError):
    """A file of the dataset is damaged or gone; ``path`` is where."""

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class PublishError(RunError):
    """The destination holds this snapshot already, or changed under the run."""

    exit_code = 6

    def __init__(self, message: str, *, destination: str) -> None:
        super().__init__(message)
        self.destination = destination


class IncompleteError(RunError):
    """Something could not be read and gaps were not allowed, so nothing was published; ``result`` says what."""

    def __init__(self, message: str, *, result: object) -> None:
        super().__init__(message)
        self.result = result


class CredentialsEndedError(IncompleteError):
    """The credentials ended in every account-region while it was read, so nothing was published."""

    exit_code = 5


class NoSnapshotError(RunError):
    """The destination is sound but holds no committed snapshot yet."""

    def __init__(self, message: str, *, destination: str) -> None:
        super().__init__(message)
        self.destination = destination


class QueryError(RunError, ValueError):
    """The SQL is not one SELECT statement, or DuckDB refused it."""

    exit_code = 2


class ViewError(RunError):
    """A shipped view does not fit the dataset; ``sql_file`` names it."""

    def __init__(self, message: str, *, sql_file: str) -> None:
        super().__init__(message)
        self.sql_file = sql_file


# --- one item is lost ---------------------------------------------------------------------------------------------


class ItemError(LexportError):
    """One item is lost; it becomes a row of ``errors``.

    ``code`` is AWS's error code, or ours where AWS sent none. ``retry_after_s`` is what the server asked for.
    ``attempts`` is filled in by the retry layer. Whether something is missing is decided in extract/failures.py.
    ``source`` is the connection that brought the error, where AWS sent it and the transport knows it.
    ``retryable`` is a fact of the class.
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


class FetchError(ItemError):
    """AWS refused one call for a reason that a second try does not change."""


class AccessDeniedError(FetchError):
    """The caller may not read this item."""


class FunctionGoneError(FetchError):
    """AWS does not know this function, version or alias (404 ResourceNotFoundException)."""


class ServiceError(FetchError):
    """AWS failed on its side, or the answer was cut off or not AWS's (5xx, HTML, broken JSON)."""

    retryable = True


class WrongAnswerError(ServiceError):
    """The answer is well-formed, but it does not answer what was asked."""


class NetworkError(FetchError):
    """The server could not be reached, or did not answer in time."""

    retryable = True


class ThrottledError(FetchError):
    """AWS said that calls come too fast."""

    retryable = True


class FlattenError(ItemError):
    """The answer holds nothing that could be a row."""


class PackageError(ItemError):
    """A package could not be had whole and right; ``package`` is its CodeSha256, ``bytes_moved`` what came of it."""

    def __init__(
        self, message: str, *, code: str, http_status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, code=code, http_status=http_status, retry_after_s=retry_after_s)
        self.package: str | None = None
        self.bytes_moved = 0


class PackageDeniedError(PackageError):
    """S3 refused the link for a reason that a fresh one does not change: a KMS key, a bucket policy."""


class LinkExpiredError(PackageError):
    """The presigned link is too old; a fresh answer brings another."""

    retryable = True


class TransferError(PackageError):
    """The transfer did not start, broke off or came too slowly."""

    retryable = True


class HashMismatchError(PackageError):
    """What lies behind the link is not what the same answer promised: by hash, or by size already."""

    def __init__(self, message: str, *, code: str = "hash_mismatch", expected: str, actual: str) -> None:
        super().__init__(message, code=code)
        self.expected = expected
        self.actual = actual


class ShardError(ItemError):
    """The account-region as a whole cannot be read any further."""


class ListingError(ShardError):
    """The listing repeats itself or does not end."""


class ExpiredCredentialsError(ShardError):
    """The credentials ran out or were never valid here; renewing them did not help."""


class ClockError(ShardError):
    """AWS refuses the signature because this machine's clock is wrong; no other credentials would help."""


class TokenRefusedError(ExpiredCredentialsError):
    """The Region does not know the keys or the token: they are too new, of another kind, or the Region is off."""

    retryable = True


class ArchiveError(ItemError):
    """A package, or a member of one, cannot be read: broken, or made to harm. The package itself is as AWS sent it."""


def first_of(group: BaseExceptionGroup[E]) -> E:
    """Return the first error of a group, out of the groups within it: those of the tasks that it passed through."""
    error = group.exceptions[0]
    return first_of(error) if isinstance(error, BaseExceptionGroup) else error
