"""Make the columns of ``env_vars`` from names and values of variables. Only the length of a value stays readable.

Each distinct value is hashed once. Arrow finds the few variables that the rules of secret_rules.py have to judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lexport.aws.signing import hmac_states
from lexport.extract.hash_key import HashKey
from lexport.extract.secret_formats import LEADS
from lexport.extract.secret_rules import name_means_secret, name_rule, value_rule

HMAC_BYTES = 16


class ValueHasher:
    """Hashes values with one key: HMAC-SHA-256, cut to ``HMAC_BYTES``."""

    def __init__(self, key: HashKey) -> None:
        self.key_id = key.key_id
        self._inner, self._outer = hmac_states(key.secret)

    def value_hmacs(self, values: Iterable[bytes]) -> bytes:
        """Return the ``HMAC_BYTES`` of each value, one after the other."""
        start_inner, start_outer = self._inner.copy, self._outer.copy
        hmacs: list[bytes] = []
        for value in values:
            inner, outer = start_inner(), start_outer()
            inner.update(value)
            outer.update(inner.digest())
            hmacs.append(outer.digest()[:HMAC_BYTES])
        return b"".join(hmacs)


def env_vars(names: Sequence[str], values: Sequence[str], kept: Sequence[str], hasher: ValueHasher) -> list[pa.Array]:
    """Return the columns of ``env_vars`` after its key: name, value, value_length, value_hmac, key id, secret_rule.

    ``kept`` are the values as they are to be stored; it is empty where no value is stored.
    """
    name_column, value_column = pa.array(names, pa.string()), pa.array(values, pa.string())
    distinct = value_column.dictionary_encode()
    return [
        name_column,
        pa.array(kept, pa.string()) if kept else pa.nulls(len(names), pa.string()),
        pc.utf8_length(value_column),
        _value_hmacs(distinct, hasher),
        pa.repeat(pa.scalar(hasher.key_id), len(names)),
        pa.array(_secret_rules(names, values, name_column.dictionary_encode(), distinct), pa.string()),
    ]


def _value_hmacs(values: pa.DictionaryArray, hasher: ValueHasher) -> pa.Array:
    """Return the HMAC of each value in hex; values repeat over the versions of a function, so each is hashed once."""
    text = hasher.value_hmacs(values.dictionary.cast(pa.binary()).to_pylist()).hex().encode()
    width = 2 * HMAC_BYTES
    ends = pa.array(range(0, len(text) + 1, width), pa.int32())
    hmacs = pa.StringArray.from_buffers(len(text) // width, ends.buffers()[1], pa.py_buffer(text))
    return hmacs.take(values.indices)


def _secret_rules(
    names: Sequence[str],
    values: Sequence[str],
    distinct_names: pa.DictionaryArray,
    distinct_values: pa.DictionaryArray,
) -> list[str | None]:
    """Return ``secret_rule`` of each variable; the rules judge only variables whose value or name suggests a secret."""
    rules: list[str | None] = [None] * len(names)
    has_lead = pc.match_substring_regex(distinct_values.dictionary, LEADS).take(distinct_values.indices)
    for index in pc.indices_nonzero(has_lead).to_pylist():
        rules[index] = value_rule(values[index])
    suggests_secret = [name_means_secret(name) is not None for name in distinct_names.dictionary.to_pylist()]
    is_suspect = pa.array(suggests_secret, pa.bool_()).take(distinct_names.indices)
    for index in pc.indices_nonzero(is_suspect).to_pylist():
        rules[index] = rules[index] or name_rule(names[index], values[index])
    return rules
