"""Convert Arrow batches to rows of plain Python values. Dates and instants become text: Python cannot hold all of them.

A date is written as DuckDB writes it: ``12024-01-01``, ``0044-03-15 (BC)``, ``infinity``. An instant adds ``T``, the
time and, in UTC, ``Z``. DuckDB can read them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any

_EPOCH = date(1970, 1, 1)
_CALENDAR_DAYS = 146_097  # the calendar repeats after 400 years
_CALENDAR_YEARS = 400
_DAY_S = 86_400
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_LAST_DAY, _LAST_TICK = 2**31 - 1, 2**63 - 1  # DuckDB's infinity; -infinity is the negative


def arrow_rows(batches: Iterable[Any]) -> Iterator[Sequence[Any]]:
    """Yield the rows of Arrow batches as plain values."""
    for batch in batches:
        yield from zip(*(_values(column) for column in batch.columns), strict=True)


def _values(column: Any) -> list[Any]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind):
        ticks: list[int | None] = column.cast(pa.int64()).to_pylist()
        return [None if tick is None else _instant(tick, kind.unit, has_zone=kind.tz is not None) for tick in ticks]
    if pa.types.is_date32(kind):
        days: list[int | None] = column.cast(pa.int32()).to_pylist()
        return [None if day is None else _day(day) for day in days]
    if pa.types.is_time(kind):
        times: list[Any] = column.cast(pa.string()).to_pylist()
        return times
    if pa.types.is_nested(kind) and not pa.types.is_union(kind):
        return _nested_values(column)
    values: list[Any] = column.to_pylist()
    return values


def _nested_values(column: Any) -> list[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_struct(kind):
        names = [field.name for field in kind]
        fields = [_values(field) for field in column.flatten()]
        rows = zip(*fields, strict=True) if fields else iter([()] * len(column))
        return [
            dict(zip(names, row, strict=True)) if is_valid else None
            for row, is_valid in zip(rows, column.is_valid().to_pylist(), strict=True)
        ]
    if pa.types.is_map(kind):
        entries = pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
        return [
            None if pairs is None else [(pair["key"], pair["value"]) for pair in pairs]
            for pairs in _values(column.cast(entries))
        ]
    items = iter(_values(pc.list_flatten(column)))
    counts = pc.list_value_length(column).to_pylist()
    return [None if count is None else list(islice(items, count)) for count in counts]


@lru_cache(maxsize=10_000)
def _day(days: int) -> str:
    if abs(days) == _LAST_DAY:
        return "infinity" if days > 0 else "-infinity"
    cycles, rest = divmod(days, _CALENDAR_DAYS)
    on = _EPOCH + timedelta(days=rest)
    year = on.year + cycles * _CALENDAR_YEARS
    return f"{year:04}-{on:%m-%d}" if year > 0 else f"{1 - year:04}-{on:%m-%d} (BC)"


@lru_cache(maxsize=10_000)  # snapshot_at is the same on every row
def _instant(tick: int, unit: str, *, has_zone: bool) -> str:
    if abs(tick) == _LAST_TICK:
        return "infinity" if tick > 0 else "-infinity"
    seconds, rest = divmod(tick, _PER_SECOND[unit])
    days, second = divmod(seconds, _DAY_S)
    nanoseconds = rest * (10**9 // _PER_SECOND[unit])
    fraction = f".{nanoseconds:09}"[: 10 if nanoseconds % 1000 else 7] if nanoseconds else ""
    time = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{_day(days)}T{time}{fraction}{'Z' if has_zone else ''}"
