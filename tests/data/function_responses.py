"""Responses of GetFunction for property tests: one with every field, and strategies that change it."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

from botocore.session import Session
from hypothesis import strategies as st

SECRET = "S3CRET-OF-A-VARIABLE"
REMOVED = "[signed link removed]"
LINKS = (
    "https://awslambda-x-tasks.s3.x.amazonaws.com/f?X-Amz-Security-Token=c0ffee&X-Amz-Credential=c0ffee%2Fs3&X-Amz-Signature=c0ffee",
    "https%3A%2F%2Fs3.amazonaws.com%2Fk%3FX-Amz-Credential%3Dc0ffee%26X-Amz-Signature%3Dc0ffee",
)
INSTANTS = {
    "2020-04-10T19:06:32.563+0000": datetime(2020, 4, 10, 19, 6, 32, 563000, UTC),
    "2026-01-02T03:04:05Z": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "2026-01-02T03:04:05.5+02:00": datetime(2026, 1, 2, 1, 4, 5, 500000, UTC),
}


def full_response():
    """Build a response with every field of botocore's model, recursively from its shapes, and with newer fields."""

    def build(shape, path):
        if shape.type_name == "structure":
            return {name: build(member, f"{path}.{name}".lstrip(".")) for name, member in shape.members.items()}
        if shape.type_name == "list":
            return [build(shape.member, f"{path}[{place}]") for place in range(1 if "Archit" in path else 2)]
        if shape.type_name == "map":
            return {f"{path} {place}": f"{SECRET} {place}" if "Env" in path else str(place) for place in range(2)}
        numbers = {"integer": len(path), "long": 2**40 + len(path), "double": 2.5, "boolean": True}
        return numbers.get(shape.type_name, f"text of {path}")

    document = build(Session().get_service_model("lambda").operation_model("GetFunction").output_shape, "")
    document["Configuration"] |= {
        "RuntimeConfig": {"RuntimeArn": "arn:aws:lambda:us-west-2:123456789012:runtime/r", "RuntimeAlias": "live"},
        "AcceleratorConfig": {"AcceleratorMemorySize": 24},
        "FunctionArn": "arn:aws:lambda:us-west-2:123456789012:function:f:7",
        "FunctionName": "f",
        "Version": "7",
        "LastModified": "2020-04-10T19:06:32.563+0000",
    }
    document["Code"]["Location"] = LINKS[0]
    return document


FULL = full_response()

TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "0",
            "null",
            "\x00",
            "lone \ud800 surrogate",
            "\U0001f40d",
            'quote " and \\',
            "X-Amz-Signature without sign",
            *INSTANTS,
            *(f"see {link} now" for link in LINKS),
            LINKS[0],
            f'{{"url": "{LINKS[1]}"}}',
        ]
    ),
    st.text(st.characters(), max_size=8),
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1]),
    st.sampled_from([2**64 - 1, 2**64, 10**30, -(10**30), 0.0, 0.5, 1e300, -1e19, 5e-324]),
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
KEYS = st.one_of(
    st.sampled_from(
        ["NewField", "a.b", "[0]", '["x"]', "", " ", "ключ", "nul\x00", "lone\udfff", "a[0].b", f"x {LINKS[0]}", "'"]
    ),
    st.text(st.characters(), max_size=4),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


def paths_in(value, path=()):
    """Yield every path in a JSON value but the empty one."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield (*path, key)
        yield from paths_in(item, (*path, key))


def at(document, path):
    for step in path:
        document = document[step]
    return document


CHANGES = ["absent", "null", "value", "scalar", "wrapped", "item", "unknown", "unknown"]


@st.composite
def responses(draw):
    """A full response with changes: absent and null values, other values, wrong types, unknown fields."""
    document = draw(st.sampled_from([FULL, FULL, FULL, {}, {"Configuration": {}, "Code": {}}]))
    document = copy.deepcopy(document)
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=12)):
        everywhere = list(paths_in(document))
        if change == "unknown" or not everywhere:
            objects = [(), *(path for path in everywhere if isinstance(at(document, path), dict))]
            at(document, draw(st.sampled_from(objects)))[draw(KEYS)] = draw(VALUES)
            continue
        *parents, last = draw(st.sampled_from(everywhere))
        parent = at(document, parents)
        if change == "absent":
            del parent[last]
        elif change == "null":
            parent[last] = None
        elif change == "scalar":
            parent[last] = draw(SCALARS)
        elif change == "value":
            parent[last] = draw(VALUES)
        elif change == "wrapped":
            parent[last] = [parent[last]]
        elif isinstance(parent[last], list):
            parent[last].append(draw(VALUES))
    return document
