"""Which calls to the disk of a run fail, by the log of an unbroken run. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

Call = tuple[str, str, str]
EVERY = 20
_OWN_NAMES = re.compile(
    r"(?<=\.work-)\d+-[0-9a-f]{8}|(?<=\.)\d+\.[0-9a-f]{8}$|(?<=\.fetched-)\w{8}|(?<=\.probe-\w{26}-)\d+|[0-9a-f]{40,64}|\d{6}(?=\.run)"
)


def step(call: Call) -> Call:
    """A call without what differs between processes: their ids, random names, and the order of account-regions."""
    name, *paths = call
    return name, *(_OWN_NAMES.sub("#", path) for path in paths)


def steps(calls: Sequence[Call]) -> Counter[Call]:
    """The calls of a run without their order, which differs where threads write at once."""
    return Counter(map(step, calls))


def chosen(calls: Sequence[Call]) -> list[int]:
    """Return the numbers of the calls that are swept.

    Each sync, rename, link, unlink and mkdir, the first and the last write of each file, and every 20th other write.
    """
    writes: dict[str, list[int]] = {}
    numbers = []
    for number, (call, path, _) in enumerate(calls, 1):
        if "write" in call:
            writes.setdefault(path, []).append(number)
        else:
            numbers.append(number)
    ends = {each[end] for each in writes.values() for end in (0, -1)}
    others = sorted({number for each in writes.values() for number in each} - ends)
    return sorted([*numbers, *ends, *others[EVERY - 1 :: EVERY]])


def commit_of(calls: Sequence[Call], earlier: str) -> int | None:
    """The number of the call that publishes a run; None where it did not come so far."""
    return next(
        (
            number
            for number, (call, _, other) in enumerate(calls, 1)
            if call == "link" and re.fullmatch(r"_runs/[0-9A-Z]{26}\.json", other) and earlier not in other
        ),
        None,
    )
