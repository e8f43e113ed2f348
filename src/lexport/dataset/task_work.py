"""Do one task of a commit in this process. Blocking.

A try may come late: its process stood still, was believed dead, and the commit went on without it. So it looks whether
the run is still this attempt's before it writes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lexport.dataset.claims import taken_over
from lexport.dataset.layout import claim_path
from lexport.dataset.scratch import remove_folder
from lexport.dataset.store import Store
from lexport.dataset.tasks import ChangesTask, Done, Task
from lexport.dataset.write_changes import write_changes
from lexport.dataset.write_files import write_files
from lexport.errors import RunError


def run_task(task: Task, store: Store, *, check: Callable[[], object] = lambda: None) -> Done:
    """Do a task; ``check`` is called now and then, and may raise to end it.

    Raises ReadError where staged rows or new files are missing or damaged, WriteError, and PublishError where the run
    is not this attempt's any more.
    """
    _check_is_wanted(task, store)
    scratch = store.open_scratch(task.run)
    try:
        confirm = partial(_check_is_wanted, task, store)
        if isinstance(task, ChangesTask):
            return write_changes(task, store, scratch, check=check, confirm=confirm)
        return write_files(task, store, scratch, check=check, confirm=confirm)
    finally:
        remove_folder(scratch)


def _check_is_wanted(task: Task, store: Store) -> None:
    """Raise PublishError where the run was published or removed, or another attempt has it."""
    try:
        if not _exists(store, claim_path(task.run, task.attempt)) or _exists(
            store, claim_path(task.run, task.attempt + 1)
        ):
            raise taken_over(store, task.run)
    except OSError as error:
        raise RunError(f"{store.url} cannot be read: {error.strerror or error}") from error


def _exists(store: Store, path: str) -> bool:
    try:
        store.stat(path)
    except FileNotFoundError:
        return False
    return True
