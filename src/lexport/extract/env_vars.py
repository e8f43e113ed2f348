"""Names and values of variables, many at once -> the columns of ``env_vars``. Nothing of a value but its length stays.

Each distinct value is hashed once, and Arrow finds the few variables that the rules of ``secret_rules`` must look at.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lexport.extract.hash_key import HMAC_BYTES, ValueHasher
from lexport.extract.secret_formats import LEADS, value_rule
from lexport.extract.secret_rules import name_rule, suspicion


def env_vars(names: Sequence[str], values: Sequence[str], kept: Sequence[str], hasher: ValueHasher) -> list[pa.Array]:
    """Return the columns of ``env_vars`` after its key: name, value, value_length, value_hmac, key id, secret_rule.

    ``kept`` are the values as they are to be stored, none where they are not.
    """
    told = pa.array(values, pa.string())
    named = pa.array(names, pa.string())
    distinct = told.dictionary_encode()
    return [
        named,
        pa.array(kept, pa.string()) if kept else pa.nulls(len(named), pa.string()),
        pc.utf8_length(told),
        _value_hmacs(distinct, hasher),
        pa.repeat(pa.scalar(hasher.key_id), len(named)),
        pa.array(_secret_rules(names, values, named, distinct), pa.string()),
    ]


def _value_hmacs(values: pa.DictionaryArray, hasher: ValueHasher) -> pa.Array:
    """Return the HMAC of each value in hex; values repeat over the versions of a function, so each is hashed once."""
    text = hasher.value_hmacs(values.dictionary.cast(pa.binary()).to_pylist()).hex().encode()
    width = 2 * HMAC_BYTES
    ends = pa.array(range(0, len(text) + 1, width), pa.int32())
    hmacs = pa.StringArray.from_buffers(len(text) // width, ends.buffers()[1], pa.py_buffer(text))
    return hmacs.take(values.indices)


def _secret_rules(
    names: Sequence[str], values: Sequence[str], named: pa.Array, told: pa.DictionaryArray
) -> list[str | None]:
    """Return ``secret_rule`` of each variable; only those with a hint in the value or a telling name are looked at."""
    distinct = named.dictionary_encode()
    telling = pa.array([suspicion(name) is not None for name in distinct.dictionary.to_pylist()], pa.bool_())
    is_led = pc.match_substring_regex(told.dictionary, LEADS).take(told.indices)
    rules: list[str | None] = [None] * len(names)
    for index in pc.indices_nonzero(is_led).to_pylist():
        rules[index] = value_rule(values[index])
    for index in pc.indices_nonzero(telling.take(distinct.indices)).to_pylist():
        rules[index] = rules[index] or name_rule(names[index], values[index])
    return rules
