"""Wrong types, unknown fields and text that no table can hold: they are kept, with a notice."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from flattened import ARN, KEY, configured, extra, function_row

from lexport.errors import FlattenError
from lexport.extract.decode import decode_function, decode_listed
from lexport.extract.flatten import Rules, flatten_carried, flatten_function
from lexport.extract.hash_key import HashKey
from lexport.extract.rows import Rows, ValueHasher
from lexport.model import FunctionRef, Scope


@pytest.mark.parametrize(
    ("field", "value", "type_"),
    [
        ("Timeout", True, "boolean"),
        ("Timeout", "15", "string"),
        ("Timeout", 15.0, "number"),
        ("Timeout", 2**31, "number"),
        ("Timeout", -(2**31) - 1, "number"),
        ("CodeSize", 2**63, "number"),
        ("CodeSize", 2**70, "number"),
        ("Runtime", 3, "number"),
        ("Runtime", ["x"], "array"),
        ("Runtime", {"a": None}, "object"),
        ("Layers", {"Arn": "x"}, "object"),
        ("VpcConfig", "vpc-1", "string"),
        ("Architectures", ["x86_64", "arm64"], "array"),
        ("Architectures", "x86_64", "string"),
        ("Architectures", [1], "array"),
    ],
)
def test_a_wrong_type(flatten, field, value, type_):
    """A value of a wrong type is NULL, kept exactly under its path, and the notice does not quote it."""
    rows, _, notices = flatten(configured(**{field: value}))

    assert extra(rows) == {f"Configuration.{field}": value}
    assert set(rows["functions"][0]) == {*function_row(), "extra_json"}
    assert len(notices) == 1
    assert notices[0].startswith(f"wrong_type: Configuration.{field}: wanted ")
    assert notices[0].endswith(f", got {type_}")


def test_bounds_fit(flatten):
    """The greatest and the least integers of a column fit."""
    rows, _, notices = flatten(configured(Timeout=2**31 - 1, MemorySize=-(2**31), CodeSize=2**63 - 1))

    assert notices == []
    assert rows["functions"] == [function_row(timeout=2**31 - 1, memory_size=-(2**31), code_size=2**63 - 1)]


def test_wrong_items_of_lists(flatten):
    """A wrong item is kept under its position; the other items have their rows and positions."""
    rows, _, notices = flatten(
        configured(VpcConfig={"SubnetIds": ["a", 1, None, "b"]}, Layers=["x", {"Arn": "y", "New": {"k": [1]}}, None])
    )

    assert extra(rows) == {"Configuration.VpcConfig.SubnetIds[1]": 1, "Configuration.Layers[0]": "x"}
    assert [row["subnet_id"] for row in rows["subnets"]] == ["a", "b"]
    assert rows["layers"] == [
        {
            "function_name": "my-function",
            "version": "1",
            "position": 1,
            "layer_arn": "y",
            "extra_json": '{"New":{"k":[1]}}',
        }
    ]
    assert notices == [
        "wrong_type: Configuration.VpcConfig.SubnetIds[1]: wanted text, got number",
        "wrong_type: Configuration.Layers[0]: wanted object, got string",
    ]


def test_a_wrong_type_inside_a_list_item_says_where(flatten):
    """A notice about a child row has the position of its item."""
    _, _, notices = flatten(configured(Layers=[{}, {"CodeSize": "big"}]))

    assert notices == ["wrong_type: Configuration.Layers[1].CodeSize: wanted int64, got string"]


def test_unknown_fields(flatten):
    """Unknown fields of any shape are in extra_json under distinct paths, sorted."""
    rows, _, notices = flatten(
        {
            "New": 1,
            "": 2,
            "a.b": 3,
            "a": {"b": 4},
            "Configuration": {
                "FunctionName": "my-function",
                "Version": "1",
                "New": {"x": [1.5, None, True]},
                "": "empty",
                "[0]": "brackets",
                'q"': "quote",
                "ключ": "ключ",
                "VpcConfig": {"": 5},
            },
        }
    )

    assert notices == []
    assert extra(rows) == {
        "New": 1,
        '[""]': 2,
        '["a.b"]': 3,
        "a": {"b": 4},
        "Configuration.New": {"x": [1.5, None, True]},
        'Configuration.[""]': "empty",
        'Configuration.["[0]"]': "brackets",
        'Configuration.["q\\""]': "quote",
        'Configuration.["ключ"]': "ключ",
        'Configuration.VpcConfig.[""]': 5,
    }
    assert list(extra(rows)) == sorted(extra(rows))


def test_numbers_beyond_64_bits_stay_exact(flatten):
    """An integer beyond 64 bits is kept digit by digit at any path."""
    rows, _, _ = flatten(configured(New={"n": [10**30, 2**64 - 1, -(2**63), 1e300, 0.1]}))

    assert (
        '{"n":[1000000000000000000000000000000,18446744073709551615,-9223372036854775808,1e+300,0.1]}'
        in (rows["functions"][0]["extra_json"])
    )


def test_an_instant_that_is_none(flatten):
    """A text that is no instant is in ``last_modified`` alone, with a notice; an empty text has no notice."""
    rows, _, notices = flatten(configured(LastModified="yesterday"))
    empty, _, silent = flatten(configured(LastModified=""))
    naive, _, said = flatten(configured(LastModified="2020-04-10T19:06:32.563"))

    assert rows["functions"] == [function_row(last_modified="yesterday")]
    assert notices == ["wrong_type: Configuration.LastModified: wanted an ISO 8601 instant, got other text"]
    assert (empty["functions"], silent) == ([function_row(last_modified="")], [])
    assert naive["functions"] == [function_row(last_modified="2020-04-10T19:06:32.563")]
    assert said == notices


@pytest.mark.parametrize(
    "text", ["2020-04-10T19:06:32.563+0000", "2020-04-10T19:06:32.563Z", "2020-04-10T21:06:32.563+02:00"]
)
def test_instants_in_any_offset(flatten, text):
    """AWS's own form, ``Z`` and any other offset result in the same instant, beside the text as AWS sent it."""
    rows, _, notices = flatten(configured(LastModified=text))

    assert notices == []
    assert rows["functions"] == [
        function_row(last_modified=text, last_modified_at=datetime(2020, 4, 10, 19, 6, 32, 563000, UTC))
    ]


def test_replaced_characters_have_a_notice(flatten):
    """NUL and lone surrogates are replaced and counted."""
    rows, _, notices = flatten(configured(Description="a\x00b\ud800"))

    assert rows["functions"] == [function_row(description="a\ufffdb\ufffd")]
    assert notices == ["cleaned_text: 2 characters that no table can hold replaced"]


def test_nested_too_deep(flatten):
    """An unknown field that is nested too deeply is kept as type and length, with a notice; the row is not lost."""
    deep = b"[" * 1000 + b"]" * 1000  # orjson reads 1,024 levels
    body = b'{"Configuration":{"FunctionName":"my-function","Version":"1","New":' + deep + b',"Timeout":3}}'
    rows, _, notices = flatten(body)

    assert rows["functions"][0]["timeout"] == 3
    assert extra(rows) == {"Configuration.New": {"type": "array", "length": 1}}
    assert notices == ["too_deep: Configuration.New: nested too deeply to be kept"]


def test_nested_deep_is_kept(flatten):
    """An unknown field too deep for orjson is kept by the standard library."""
    nest = json.loads("[" * 300 + "]" * 300)
    rows, _, notices = flatten(configured(New=nest))

    assert notices == []
    assert extra(rows) == {"Configuration.New": nest}


def test_too_deep_to_be_read_exactly(flatten):
    """A response that needs the exact parser and is too deep for it is one lost item."""
    deep = b"[" * 1000 + b"]" * 1000  # orjson reads 1,024 levels
    with pytest.raises(FlattenError) as lost:
        flatten(b'{"Configuration":{"Big":' + b"9" * 30 + b',"New":' + deep + b"}}")
    assert lost.value.code == "too_deep"


@pytest.mark.parametrize("architectures", [["x86_64", "arm64"], [], None, ["arm64"]])
def test_two_architectures_have_a_notice(architectures):
    """One architecture is in its column; two are in extra_json with a notice, in typed responses too."""
    document = configured(Architectures=architectures)
    document["Configuration"] |= {"FunctionArn": ARN}
    reply, rows = decode_function(json.dumps(document).encode()), Rows(ValueHasher(HashKey(KEY)))
    assert reply.typed is not None
    scope = Scope(account_id="123456789012", region="us-west-2")
    rules = Rules(env="keys", fetched_at=datetime(2026, 11, 22, tzinfo=UTC))
    ref = FunctionRef(function_name="my-function", qualifier="1")
    _, notices = flatten_function(reply, ref, scope=scope, rules=rules, answer="0", rows=rows)
    (row,) = rows.take()["functions"].to_pylist()

    is_odd = architectures is not None and len(architectures) > 1
    assert [finding.code for finding in notices] == ["wrong_type"] * is_odd
    assert row["architecture"] == (architectures[0] if architectures and not is_odd else None)
    assert row["extra_json"] == ('{"Configuration.Architectures":["x86_64","arm64"]}' if is_odd else None)


def test_a_carried_version_keeps_unknown_fields():
    """A carried version keeps unknown fields that listings omit, and takes the others from the listing."""
    listing = {"FunctionName": "my-function", "Version": "1", "FunctionArn": f"{ARN}:1", "New": 2, "Only": 3}
    older = {"state": "Active", "extra_json": '{"Configuration.New":1,"Configuration.Old":1}'}
    rows = Rows(ValueHasher(HashKey(KEY)))
    notices = flatten_carried(
        FunctionRef(function_name="my-function", qualifier="1"),
        decode_listed(json.dumps(listing).encode()),
        older,
        scope=Scope(account_id="123456789012", region="us-west-2"),
        rules=Rules(env="keys", fetched_at=datetime(2026, 11, 22, tzinfo=UTC)),
        answer="0",
        rows=rows,
    )
    (row,) = rows.take()["functions"].to_pylist()

    assert notices == []
    assert json.loads(row["extra_json"]) == {"Configuration.New": 2, "Configuration.Old": 1, "Configuration.Only": 3}
