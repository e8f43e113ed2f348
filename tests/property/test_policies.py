"""Whatever a policy is, it becomes rows: all of it, as many as its lists make, and nothing fails."""

from __future__ import annotations

import json
from contextlib import suppress
from math import prod

from hypothesis import given, settings
from hypothesis import strategies as st
from policy_documents import document, expand, statement
from sampled import examples

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
NAMES = st.sampled_from(["*", "111122223333", "lambda:*", "lambda:InvokeFunction", "a", "", "arn:aws:s3:::b"])
LISTS = st.lists(NAMES | WORDS, min_size=1, max_size=4) | NAMES
TYPES = st.sampled_from(["AWS", "Service", "Federated", "CanonicalUser", "*", "Other"])
PRINCIPALS = st.just("*") | st.dictionaries(TYPES, LISTS, min_size=1, max_size=3)
SCALARS = NAMES | WORDS | st.booleans() | st.integers(-5, 5)
OPERATORS = st.sampled_from(["StringEquals", "ArnLike", "BoolIfExists", "ForAnyValue:StringLike", "Null", "Foo"])
CONDITIONS = st.dictionaries(OPERATORS, st.dictionaries(WORDS, st.lists(SCALARS, max_size=3) | SCALARS, max_size=2))
JSON = st.recursive(st.none() | SCALARS | st.floats(), lambda parts: st.lists(parts) | st.dictionaries(WORDS, parts))
ELEMENTS = ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")


@st.composite
def statements(draw):
    """A statement of IAM, with each element or its opposite."""
    name = {element: draw(st.sampled_from(["", "Not"])) + element for element in ("Principal", "Action", "Resource")}
    made = {
        "Effect": draw(st.sampled_from(["Allow", "Deny"])),
        name["Principal"]: draw(PRINCIPALS),
        name["Action"]: draw(LISTS),
    }
    if draw(st.booleans()):
        made[name["Resource"]] = draw(LISTS)
    if draw(st.booleans()):
        made |= {"Sid": draw(WORDS), "Condition": draw(CONDITIONS)}
    return made


def size(value):
    return len(value) if isinstance(value, list) else 1


def row_count(made):
    principal = made.get("Principal", made.get("NotPrincipal"))
    principals = 1 if principal == "*" else sum(map(size, principal.values()))
    resource = made.get("Resource", made.get("NotResource", ""))
    return prod((principals, size(made.get("Action", made.get("NotAction"))), size(resource)))


def leaves(value):
    """Every key and scalar of a JSON value as text."""
    if isinstance(value, dict):
        return {*value} | {leaf for item in value.values() for leaf in leaves(item)}
    if isinstance(value, list):
        return {leaf for item in value for leaf in leaves(item)}
    return set() if value is None else {json.dumps(value) if not isinstance(value, str) else value}


def stored(made):
    """Every leaf that the rows have, in a column or within its JSON."""
    found = set()
    for row in (*made.statements, *made.conditions):
        for value in row.values():
            found |= leaves(value)
            if isinstance(value, str) and value.startswith(("{", "[", '"')):
                with suppress(ValueError):
                    found |= leaves(json.loads(value))
    return found


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(statements(), min_size=1, max_size=3))
def test_a_policy_of_iam_makes_the_product_of_its_lists_and_loses_nothing(made):
    """Rows are principals times actions times resources, and every leaf is in a column or in JSON."""
    expanded = expand(document(*made))
    assert expanded.problems == []
    assert len(expanded.statements) == sum(map(row_count, made))
    assert leaves(made) - {*ELEMENTS} <= stored(expanded)


@settings(max_examples=examples(40), deadline=None)
@given(st.sampled_from(ELEMENTS), JSON)
def test_a_statement_with_anything_in_an_element_is_visible_and_loses_nothing(element, value):
    """No value of an element fails, makes no row, or is forgotten."""
    expanded = expand(document(statement(**{element: value})))
    assert expanded.statements
    assert expanded.problems or all(row["principal_type"] is not None for row in expanded.statements)
    assert leaves(json.loads(json.dumps(value), parse_constant=str)) <= stored(expanded)


@settings(max_examples=examples(40), deadline=None)
@given(JSON)
def test_any_json_in_place_of_a_policy_is_visible(value):
    """Only an object with an empty list of statements makes no row."""
    expanded = expand(json.dumps(value))
    assert expanded.statements or value["Statement"] == []
    assert expanded.problems or value["Statement"] == []


@settings(max_examples=examples(40), deadline=None)
@given(st.text('{}[]":, \\utfn01e\x00é', max_size=40))
def test_any_text_in_place_of_a_policy_is_visible(text):
    """No text fails or makes no row."""
    assert expand(text).statements
