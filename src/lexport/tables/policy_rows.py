"""Expand the response of GetPolicy into rows of ``policy_statements`` and ``policy_conditions``. Pure.

Every leaf of the response ends in a column, in ``condition_json`` or in ``extra_json``. What cannot be judged makes one
row with a NULL ``principal_type``, in which the elements are JSON as they were sent; so no policy is ever without rows
but one that has an empty list of statements.

The value of ``lambda:EventSourceToken`` is a password: only its HMAC is kept, wherever in the document it stands.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lexport.tables.policy_conditions import limiting_operator, limiting_values
from lexport.tables.policy_document import (
    LONGEST_POLICY,
    PolicyDocument,
    PolicyError,
    Statement,
    read_policy,
    read_statement,
    type_of,
)
from lexport.tables.policy_values import covers, is_public, value_text
from lexport.tables.resource import Mask, Row

MOST_ROWS = 1_000
"""Rows of one policy in either table; lists of 20 KB could make millions."""
MOST_CHARACTERS = 2**20
"""Characters of these rows: each has the whole condition."""
HIDDEN = "[hidden]"
"""What stands for a token where the run has no key."""
_TOKEN = "eventsourcetoken"  # noqa: S105 - the name of a condition key
_STATEMENTS = "Policy.Statement"
_VALUES = {
    "source_arn": "aws:sourcearn",
    "source_account": "aws:sourceaccount",
    "principal_org_id": "aws:principalorgid",
    "function_url_auth_type": "lambda:functionurlauthtype",
}
_COLUMNS = (
    *("position", "statement", "sid", "effect", "principal_type", "principal", "action", "resource"),
    *("is_not_principal", "is_not_action", "is_not_resource", "is_public_principal"),
    *("covers_invoke_function", "covers_invoke_function_url", "condition_json", *_VALUES),
    *("invoked_via_function_url", "revision_id", "extra_json"),
)
_INVOKED_VIA_URL = "lambda:invokedviafunctionurl"


@dataclass(frozen=True, slots=True)
class _Texts:
    """How values of a policy are stored: ``mask`` makes an HMAC of a token, or None in a run that has no key."""

    mask: Mask

    def hidden(self, value: Any) -> str:
        """Return what is kept of a token."""
        text = _json(value) if isinstance(value, dict | list | None) else value_text(value)
        return self.mask(text) or HIDDEN

    def tree(self, value: Any) -> Any:
        """Return a JSON value without tokens: what stands beside a value that names the key of a token may be one."""
        if isinstance(value, str):
            return self.hidden(value) if _names_token(value) and not _is_key(value) else value
        if not isinstance(value, list | dict):
            return value
        is_beside = _mentions_token(value)
        if isinstance(value, list):
            return [self._part(item, is_beside=is_beside) for item in value]
        return {
            key: self._hidden_below(item) if _names_token(key) else self._part(item, is_beside=is_beside)
            for key, item in value.items()
        }

    def _part(self, value: Any, *, is_beside: bool) -> Any:
        return self._hidden_below(value) if is_beside and not _mentions_token(value) else self.tree(value)

    def _hidden_below(self, value: Any) -> Any:
        return [self.hidden(item) for item in value] if isinstance(value, list) else self.hidden(value)

    def scalar(self, key: str, value: str, *, is_beside: bool) -> str:
        """Return what is kept of a value of a condition, one of whose values names the key of a token if is_beside."""
        if _names_token(key) or (is_beside and not _names_token(value)):
            return self.hidden(value)
        return str(self.tree(value))

    def json(self, value: Any) -> str | None:
        """Return an element as JSON; a text as it is, and None where there is none."""
        stored = self.tree(value)
        return stored if stored is None or isinstance(stored, str) else _json(stored)


@dataclass(frozen=True, slots=True)
class PolicyRows:
    """The rows of one policy, and codes and messages of what was wrong with it.

    ``extra_json`` of a row are values by their path.
    """

    statements: list[Row]
    conditions: list[Row]
    problems: list[tuple[str, str]]


def policy_rows(answer: Mapping[str, Any], mask: Mask) -> PolicyRows:
    """Expand one response of GetPolicy. An empty list of statements makes no row."""
    texts = _Texts(mask)
    others = {key: value for key, value in answer.items() if key not in ("Policy", "RevisionId") and value is not None}
    problems: list[tuple[str, str]] = []
    revision_id = answer.get("RevisionId")
    if not isinstance(revision_id, str | None):
        problems.append(("wrong_type", f"RevisionId is {type_of(revision_id)}"))
        others["RevisionId"], revision_id = revision_id, None
    statements, conditions = _rows_of(answer.get("Policy"), others, problems, texts)
    own = {"revision_id": texts.json(revision_id)}
    rows: list[Row] = []
    for position, row in enumerate(statements):
        extra_json = texts.tree(row.pop("others", None) or None)
        rows.append({**dict.fromkeys(_COLUMNS), **row, **own, "position": position, "extra_json": extra_json})
    return PolicyRows(rows, conditions, problems)


def _rows_of(policy: Any, others: Row, problems: list[tuple[str, str]], texts: _Texts) -> tuple[list[Row], list[Row]]:
    try:
        document = read_policy(policy)
    except PolicyError as error:
        problems.append((error.code, str(error)))
        return [{"others": {**others, "Policy": _unreadable(policy)}}], []
    others |= {f"Policy.{key}": value for key, value in document.others.items() if value is not None}
    if document.cleaned:
        problems.append(("cleaned_text", f"{document.cleaned} characters that no table can hold replaced"))
    statements = [read_statement(item) for item in document.statements[: MOST_ROWS + 1]]
    problems += _problems(statements, document)
    row_count = sum(statement.row_count for statement in statements)
    if max(row_count, sum(statement.condition_count for statement in statements)) > MOST_ROWS:
        problems.append(("too_many_rows", f"the policy would make more than {MOST_ROWS:,} rows; its lists are in one"))
        return [_whole_row(document, others, texts)], []
    rows: list[Row] = []
    conditions: list[Row] = []
    for number, statement in enumerate(statements):
        made = _statement_rows(number, statement, texts)
        made[0]["others"] = {_path(number, key): value for key, value in statement.others.items()}
        rows += made
        conditions += _condition_rows(number, statement, texts)
    if (size := sum(len(text) for row in rows for text in row.values() if isinstance(text, str))) > MOST_CHARACTERS:
        problems.append(
            ("too_many_rows", f"the rows of the policy would have {size:,} characters; its lists are in one")
        )
        return [_whole_row(document, others, texts)], []
    if document.flaws:  # which of two lists of statements counts, nobody can tell
        rows.insert(0, {"others": {}})
    if rows:
        rows[0]["others"] = {**others, **rows[0].get("others", {})}
    return rows, conditions


def _problems(statements: Sequence[Statement], document: PolicyDocument) -> list[tuple[str, str]]:
    """Describe what is wrong with statements, once for each kind."""
    found = [(flaw, number) for number, statement in enumerate(statements) for flaw in statement.flaws]
    counts = Counter(flaw for flaw, _ in found)
    first = dict(reversed(found))
    problems = [
        (code, f"{_STATEMENTS}[{first[code, text]}] {text}" + (f", and {count - 1:,} more alike" if count > 1 else ""))
        for (code, text), count in counts.items()
    ]
    return [*problems, *document.flaws]


# --- rows of statements -----------------------------------------------------------------------------------------------


def _statement_rows(number: int, statement: Statement, texts: _Texts) -> list[Row]:
    shared = {"statement": number, **_shared(statement, texts)}
    if statement.flaws:
        return [shared | _elements([statement], texts)]
    is_not_action = statement.is_not("Action")
    is_allowed_to_all = statement.is_not("Principal") and statement.elements["Effect"] == "Allow"
    all_covered = _covered(statement.actions)
    return [
        {
            **shared,
            "principal_type": texts.tree(type_),
            "principal": texts.tree(principal),
            "action": texts.tree(action),
            "resource": texts.tree(resource),
            "is_public_principal": is_allowed_to_all
            or (not statement.is_not("Principal") and is_public(type_, principal)),
            **({name: not is_covered for name, is_covered in all_covered.items()} if is_not_action else covered),
        }
        for type_, principal in statement.principals
        for action, covered in ((action, _covered([action])) for action in statement.actions)
        for resource in statement.resources or (None,)
    ]


def _covered(actions: Sequence[str]) -> Row:
    return {
        "covers_invoke_function": any(covers(action, "lambda:invokefunction") for action in actions),
        "covers_invoke_function_url": any(covers(action, "lambda:invokefunctionurl") for action in actions),
    }


def _shared(statement: Statement, texts: _Texts) -> Row:
    """Return what the rows of a statement share."""
    row: Row = {
        "sid": texts.json(statement.elements.get("Sid")),
        "effect": texts.json(statement.elements.get("Effect")),
        **{f"is_not_{element.lower()}": statement.is_not(element) for element in ("Principal", "Action", "Resource")},
        "condition_json": _condition_json(statement, texts),
    }
    is_beside = _mentions_token(statement.elements.get("Condition"))
    limits = [
        (key, value)
        for operator, key, values in statement.conditions
        for value in values
        if limiting_operator(operator)
    ]
    for column, name in _VALUES.items():
        values = list(
            dict.fromkeys(
                texts.scalar(key, value_text(value), is_beside=is_beside) for key, value in limits if key == name
            )
        )
        row[column] = values[0] if len(values) == 1 else _json(values) if values else None
    answers = {value_text(value).lower() for key, value in limits if key == _INVOKED_VIA_URL}
    row["invoked_via_function_url"] = None if len(answers) != 1 else {"true": True, "false": False}.get(answers.pop())
    return row


def _condition_json(statement: Statement, texts: _Texts) -> str | None:
    condition = statement.elements.get("Condition")
    return None if condition is None else _json(texts.tree(condition))


def _elements(statements: Sequence[Statement], texts: _Texts) -> Row:
    """Return the lists of statements as JSON; of several statements, one item for each, with its key."""
    row: Row = {}
    for column in ("principal", "action", "resource"):
        names = (column.title(), f"Not{column.title()}")
        found = [
            {name: statement.elements[name] for name in names if name in statement.elements} for statement in statements
        ]
        is_single = len(found) == 1 and len(found[0]) == 1
        row[column] = texts.json(next(iter(found[0].values())) if is_single else found if any(found) else None)
    return row


def _whole_row(document: PolicyDocument, others: Row, texts: _Texts) -> Row:
    """Return the one row of a policy that would make too many."""
    statements = [read_statement(item) for item in document.statements]
    row: Row = {"others": dict(others)}
    for number, statement in enumerate(statements):
        row["others"] |= {_path(number, key): value for key, value in statement.others.items()}
    if len(statements) == 1:
        return {**row, "statement": 0, **_shared(statements[0], texts), **_elements(statements, texts)}
    row |= _elements(statements, texts)
    for column, element in (("sid", "Sid"), ("effect", "Effect"), ("condition_json", "Condition")):
        values = [statement.elements.get(element) for statement in statements]
        row[column] = _json(texts.tree(values)) if any(value is not None for value in values) else None
    for element in ("Principal", "Action", "Resource"):
        row[f"is_not_{element.lower()}"] = any(statement.is_not(element) for statement in statements)
    return row


# --- conditions -------------------------------------------------------------------------------------------------------


def _condition_rows(number: int, statement: Statement, texts: _Texts) -> list[Row]:
    """Return one row for each operator, key and value; one that stands twice has one.

    Values that are stored alike, such as tokens in a run without a key, limit if all of them do.
    """
    rows: dict[tuple[str, str, str], Row] = {}
    is_beside = _mentions_token(statement.elements.get("Condition"))
    for operator, key, values in statement.conditions:
        given = list(map(value_text, values))
        for value, limits in zip(given, limiting_values(operator, key, given), strict=True):
            stored = texts.scalar(key, value, is_beside=is_beside)
            new = {"statement": number, "operator": operator, "key": key, "value": stored, "is_limiting": True}
            row = rows.setdefault((operator, key, stored), new)
            row["is_limiting"] = row["is_limiting"] and limits
    return list(rows.values())


# --- texts ------------------------------------------------------------------------------------------------------------


def _names_token(text: str) -> bool:
    return _TOKEN in text.casefold()


def _mentions_token(value: Any) -> bool:
    """Return whether any text in a JSON value, other than the keys of objects, names the key of a token."""
    if isinstance(value, str):
        return _names_token(value)
    return any(
        map(_mentions_token, value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
    )


def _is_key(text: str) -> bool:
    return text.casefold().strip() in (_TOKEN, f"lambda:{_TOKEN}")


def _unreadable(policy: Any) -> Any:
    """Return what may be stored of a policy that is no JSON document: a token in it could not be told apart."""
    if isinstance(policy, str) and (len(policy) > LONGEST_POLICY or "token" in policy.casefold() or "\\" in policy):
        return {"type": "string", "length": len(policy)}
    return policy


def _path(number: int, key: str) -> str:
    path = f"{_STATEMENTS}[{number}]"
    return f"{path}.{key}" if key else path


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
