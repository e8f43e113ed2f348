"""Tasks that run beside the work of a run, such as its progress report, and end with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from anyio import CancelScope, create_task_group

from lexport.dataset.local import write_error
from lexport.errors import RunError, first_of
from lexport.extract.progress import Progress, Report, keep_reporting


@asynccontextmanager
async def in_background(
    *functions: Callable[[], Coroutine[Any, Any, None]], until: CancelScope, folder: Path | None = None
) -> AsyncIterator[None]:
    """Run functions until the block ends or ``until`` is cancelled. One error leaves the block, not a group."""

    async def run_all() -> None:
        with until:
            async with create_task_group() as tasks:
                for function in functions:
                    tasks.start_soon(function)

    try:
        async with create_task_group() as tasks:  # it raises every error in a group
            tasks.start_soon(run_all)
            yield
            until.cancel()
    except BaseExceptionGroup as group:
        for kind in (RunError, OSError):
            if (errors := group.subgroup(kind)) is not None:
                error = first_of(errors)
                if isinstance(error, OSError) and folder is not None:
                    raise write_error(Path(error.filename or folder), error) from error.__cause__
                raise error from error.__cause__
        raise


@asynccontextmanager
async def reported(progress: Progress, report: Report, folder: Path | None = None) -> AsyncIterator[CancelScope]:
    """Report the progress while the block runs; yield the scope that ends the report earlier.

    One error leaves the block, whatever tasks it passed through; an OSError about ``folder`` becomes a WriteError.
    """
    reporting = CancelScope()
    async with in_background(partial(keep_reporting, report, progress), until=reporting, folder=folder):
        yield reporting
