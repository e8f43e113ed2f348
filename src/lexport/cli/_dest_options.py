"""The options of an object store, for every command that takes DEST."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, get_args

import click

from lexport.cli._options import Decorator, declare_options, duration, option, size
from lexport.cli._output import notify
from lexport.dataset.store import Bucket, Moved, close_buckets
from lexport.settings import Destination, Encryption
from lexport.tables.text import plural

_option = partial(option, "Object stores")

_PROFILE = _option(
    "--dest-profile NAME",
    "Reach a DEST on s3:// with this AWS profile.  [default: the credentials of the Lambda calls]",
)
_SSE = _option("--dest-sse", "Ask S3 to encrypt the objects of DEST this way.", type=click.Choice(get_args(Encryption)))
_KMS_KEY = _option("--dest-kms-key ARN", "Ask S3 to encrypt the objects of DEST with this KMS key.")
_CACHE_SIZE = _option(
    "--cache-size SIZE", "Keep at most this much of object stores on this machine.  [default: 10GB]", type=size
)
_CACHE_VALUES = _option("--cache-values", "Keep files with environment values in the cache too.")
_TIMEOUT = _option(
    "--dest-timeout TIME",
    "Give up a request to an object store without an answer after this, and repeat it.  [default: 30s]",
    type=duration,
)


def dest_options(*, writes: bool = False) -> Decorator:
    """Declare the options, and hand the command DEST as a Destination, or None where it was not given."""
    declared = (_PROFILE, *((_SSE, _KMS_KEY) if writes else ()), _CACHE_SIZE, _CACHE_VALUES, _TIMEOUT)

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(*, dest: str | None, **options: Any) -> Any:
            with close_buckets() as buckets:
                try:
                    result = command(dest=_destination(dest, options), **options)
                except BaseException:
                    if any(bucket.moved.copied_bytes for bucket in buckets):
                        _note_moved(buckets)
                    raise
                _note_moved(buckets)
            return result

        return declare_options(declared)(run)

    return decorate


def _note_moved(buckets: Sequence[Bucket]) -> None:
    """Print how much was moved from and to each bucket."""
    by_url: dict[str, list[Moved]] = {}
    for bucket in buckets:
        by_url.setdefault(bucket.url, []).append(bucket.moved)
    for url, moved in by_url.items():
        copied, cached, sent = (
            sum(getattr(item, name) for item in moved) for name in ("copied_bytes", "cached_files", "sent_bytes")
        )
        more = f", and {sent:,} bytes to it" if sent else ""
        more += f"; {plural(cached, 'file')} came from the cache" if cached else ""
        notify(f"{copied:,} bytes of data files were moved from {url}{more}")


def _destination(dest: str | None, options: dict[str, Any]) -> Destination | None:
    given = {
        "dest_profile": options.pop("dest_profile"),
        "sse": options.pop("dest_sse", None),
        "kms_key": options.pop("dest_kms_key", None),
        "cache_size_bytes": options.pop("cache_size"),
        "cache_values": options.pop("cache_values"),
        "timeout_s": options.pop("dest_timeout"),
    }
    if dest is None:
        return None
    if given["timeout_s"] is not None:
        given["timeout_s"] = given["timeout_s"].total_seconds()
    return Destination(dest, **{name: value for name, value in given.items() if value is not None})
