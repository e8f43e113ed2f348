"""What all account-regions of a run have in common: where rows and failures go, and how the run was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path

from anyio.streams.memory import MemoryObjectSendStream

from lexport.extract.failures import Failures
from lexport.extract.flatten import Rules
from lexport.extract.incremental import LastSnapshot, Room
from lexport.extract.rows import Rows
from lexport.model import FunctionRef, Qualifiers, Reply, Scope
from lexport.tables.staged import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all account-regions of a run have in common. ``offer`` sees every answer of GetFunction, with its link."""

    rows: Rows
    batches_out: MemoryObjectSendStream[Batch]
    failures: Failures
    rules: Rules
    qualifiers: Qualifiers
    aliases: bool
    staging: Path
    now: Callable[[], datetime]
    note: Callable[[str], None]
    open_last: Callable[[Scope], LastSnapshot | None]
    not_before: datetime | None
    offer: Callable[[FunctionRef, Reply], None] | None
    room: Room = field(default_factory=Room)
    serials: Callable[[], int] = field(default_factory=lambda: partial(next, count()))

    def answer_id(self, ref: FunctionRef | None = None) -> str:
        """Name one answer. The unqualified call knows most, a call by alias least; see staged.py."""
        rank = 0 if ref is None or ref.qualifier is None else 2 if ref.is_alias else 1
        return f"{rank}{self.serials():012x}"
