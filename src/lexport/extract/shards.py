"""settings -> every account-region, visited side by side; what is done there is the visitor's.

Each account is a task of its own (assume its role, find its Regions) and so is each of its Regions; none waits for
another, and what they share, connections and open files, is shared fairly.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from anyio import CapacityLimiter, create_task_group
from anyio.abc import TaskGroup

from lexport.aws.client import LambdaClient
from lexport.aws.http.fair_share import FairShares
from lexport.aws.http.transport import open_transport
from lexport.aws.session import Session
from lexport.dataset.local import write_error
from lexport.errors import ItemError, RunError, first_of
from lexport.extract.access import Account, Door, Entrance, Selection
from lexport.extract.progress import Progress
from lexport.model import Shard
from lexport.settings import SnapshotSettings

MOST_CONNECTIONS = 512  # to Lambda: 5,000 calls/s at 0.1 s each, what a core can do; each takes some 70 KB
MOST_SHARDS = 256  # account-regions read at once; further ones wait until one is done
MOST_ENTERING = 64  # accounts entered at once
FILES_OF_A_SHARD = 4  # names that wait, written and read; what is held back; the last snapshot


class Visitor(Protocol):
    """What is done in each account-region. Nothing here raises an ItemError."""

    async def read_shard(self, shard: Shard, api: LambdaClient) -> None:
        """Read one shard, through connections of its own."""

    def skip_shards(self, shards: Sequence[Shard]) -> None:
        """Note Regions that are switched off."""

    def lose_account(self, account: Account, shards: Sequence[Shard], error: ItemError) -> None:
        """Note an account that could not be entered, and with it its shards."""


async def visit(
    options: SnapshotSettings,
    session: Session,
    visitor: Visitor,
    progress: Progress,
    *,
    selection: Selection | None,
    accounts: Sequence[str],
    session_name: str,
) -> None:
    """Find the accounts, enter each, and let ``visitor`` read each of its shards, all side by side."""
    connections, targets_at_once = _bounds(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    async with open_transport(ca_bundle=session.ca_bundle, connections=connections) as send:
        entrance = Entrance(
            session,
            send,
            options,
            selection=selection,
            accounts=accounts,
            session_name=session_name,
            note=progress.note,
        )
        found = await entrance.find_accounts()
        progress.stage = "reading"
        progress.accounts_left = len(found)
        async with create_task_group() as tasks:
            tour = _Tour(
                visitor=visitor,
                progress=progress,
                tasks=tasks,
                entrance=entrance,
                entering=CapacityLimiter(MOST_ENTERING),
                places=CapacityLimiter(targets_at_once),
                shares=FairShares(send, connections),
            )
            for account in found:
                tasks.start_soon(tour.visit_account, account)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tour:
    """What the tasks have in common; ``tasks`` is their group, to which each account adds its Regions."""

    visitor: Visitor
    progress: Progress
    tasks: TaskGroup
    entrance: Entrance
    entering: CapacityLimiter
    places: CapacityLimiter
    shares: FairShares

    async def visit_account(self, account: Account) -> None:
        """Enter one account and begin with its Regions; an account that stays shut stops nobody."""
        try:
            async with self.entering:
                entered = await self.entrance.enter(account)
        except ItemError as error:
            self.visitor.lose_account(account, self.entrance.expected(account), error)
        else:
            self.visitor.skip_shards(entered.switched_off)
            for door in entered.doors:
                self.tasks.start_soon(self.visit_door, door)
        finally:
            self.progress.accounts_left -= 1

    async def visit_door(self, door: Door) -> None:
        """Read one shard as soon as there is a place for it."""
        async with self.places:
            with self.shares.open_share() as send:
                await self.visitor.read_shard(door.shard, door.open(send))


def _bounds(open_files: int) -> tuple[int, int]:
    """Return how many connections and shards at once the limit of open files allows; an eighth is for the rest."""
    return min(MOST_CONNECTIONS, open_files // 2), min(MOST_SHARDS, open_files * 3 // 8 // FILES_OF_A_SHARD)


@contextmanager
def one_error(folder: Path | None = None) -> Iterator[None]:
    """Unwrap the one error that ended a run from the groups of the tasks that it passed through.

    ``folder`` holds the run's files; an OSError of them becomes a WriteError.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        for kind in (RunError, OSError):
            if (ours := group.subgroup(kind)) is not None:
                error = first_of(ours)
                raise _as_ours(error, folder) from error.__cause__
        raise
    except OSError as error:
        if folder is None:
            raise
        raise _as_ours(error, folder) from error


def _as_ours(error: Exception, folder: Path | None) -> Exception:
    if not isinstance(error, OSError) or folder is None:
        return error
    return write_error(Path(error.filename or folder), error)
