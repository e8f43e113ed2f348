"""Names and values of variables, many at once -> the columns of ``env_vars``. Nothing of a value but its length stays.

Each distinct value is hashed once, and Arrow finds the few variables that the rules of ``secret_rules`` must look at.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lexport.hashing import ValueHasher
from lexport.secret_rules import HINTS, secret_rule, suspicion

_HINT = "|".join(HINTS)


def env_vars(
    names: Sequence[str], values: Sequence[str], kept: Sequence[str | None], hasher: ValueHasher
) -> list[pa.Array]:
    """Return the columns of ``env_vars`` after its key: name, value, value_length, value_hmac, key id, secret_rule.

    ``kept`` are the values as they may be stored.
    """
    told = pa.array(values, pa.string())
    named = pa.array(names, pa.string())
    return [
        named,
        pa.array(kept, pa.string()),
        pc.utf8_length(told),
        pa.array(hasher.value_hmacs(values), pa.string()),
        pa.repeat(pa.scalar(hasher.key_id), len(named)),
        pa.array(_secret_rules(names, values, named, told), pa.string()),
    ]


def _secret_rules(names: Sequence[str], values: Sequence[str], named: pa.Array, told: pa.Array) -> list[str | None]:
    """Return ``secret_rule`` of each variable; only what has a hint in its value or a telling name is looked at."""
    distinct = named.dictionary_encode()
    telling = pa.array([suspicion(name) is not None for name in distinct.dictionary.to_pylist()], pa.bool_())
    is_suspect = pc.or_(telling.take(distinct.indices), pc.match_substring_regex(told, _HINT))
    rules: list[str | None] = [None] * len(names)
    for index in pc.indices_nonzero(is_suspect).to_pylist():
        rules[index] = secret_rule(names[index], values[index])
    return rules
