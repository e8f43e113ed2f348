"""Presigned URLs, variables and unknown fields that may be secret."""

from __future__ import annotations

import json

import pytest
from flattened import KEPT, KEY_ID, LINK, UNKNOWN, configured, digest, extra, function_row


@pytest.mark.parametrize("env", ["keys", "values", "none"])
@pytest.mark.parametrize(
    "code", [{"Location": LINK}, {"Location": "https://plain.example/CANARY"}, {"Location": {"CANARY": LINK}}, [LINK]]
)
def test_the_download_link_is_nowhere(flatten, env, code):
    """``Code.Location`` is dropped in every mode, whatever its type."""
    shown = repr(flatten(configured() | {"Code": code}, env=env))

    assert [part for part in ("CANARY", "AKIA", "t0k3n", "5161", "X-Amz-Signature=") if part in shown] == []


def test_links_anywhere_are_removed_cell_by_cell(flatten):
    """A presigned URL in any other text is replaced, the text around it stays, and a notice has its path."""
    rows, _, notices = flatten(
        configured(
            Description=f"get {LINK} soon",
            New={f"k {LINK}": [LINK]},
            VpcConfig={"SubnetIds": [LINK]},
            Layers=[{"Arn": LINK}],
            ImageConfigResponse={"ImageConfig": {"Command": ["curl", LINK]}},
        )
        | {"Tags": {LINK: LINK}, LINK: 1, "Code": {LINK: 2}},
        env="values",
    )
    shown = repr((rows, notices))

    assert [part for part in ("AKIA", "t0k3n", "5161", "X-Amz-Signature=") if part in shown] == []
    assert rows["functions"][0]["description"] == "get [signed link removed] soon"
    assert rows["functions"][0]["image_config_command"] == '["curl","[signed link removed]"]'
    assert rows["tags"] == [
        {"function_name": "my-function", "key": "[signed link removed]", "value": "[signed link removed]"}
    ]
    assert extra(rows) == {
        "Configuration.New": {"k [signed link removed]": ["[signed link removed]"]},
        '["[signed link removed]"]': 1,
        'Code.["[signed link removed]"]': {"type": "number", "length": 1},
    }
    assert {finding.split(":")[0] for finding in notices} == {"signed_link_removed"}


def test_keys_that_were_links_stay_apart(flatten):
    """Two unknown fields whose names differ in a presigned URL alone are still two fields."""
    rows, _, _ = flatten({LINK + "1": 1, LINK + "2": 2, "New": {LINK + "1": 3, LINK + "2": 4}})

    assert extra(rows) == {
        '["[signed link removed]"]': 1,
        '["[signed link removed]"]\'': 2,
        "New": {"[signed link removed]": 3, "[signed link removed]'": 4},
    }


def test_env_keys(flatten):
    """By default a variable's name, length and keyed hash are stored, never its value."""
    rows, _, _ = flatten(configured(Environment={"Variables": {"A": "s3cret", "E": "", "U": "шифр"}}))
    of_version = {"function_name": "my-function", "version": "1", "hash_key_id": KEY_ID}

    assert "s3cret" not in repr(rows)
    assert rows["env_vars"] == [
        {**of_version, "name": "A", "value_length": 6, "value_hmac": digest("s3cret")},
        {**of_version, "name": "E", "value_length": 0, "value_hmac": digest("")},
        {**of_version, "name": "U", "value_length": 4, "value_hmac": digest("шифр")},
    ]


def test_variables_stay_sorted_without_the_links_in_their_names(flatten):
    """A name may sort elsewhere without its presigned URL; each value stays with its name."""
    rows, _, _ = flatten(configured(Environment={"Variables": {"A": "one", "a0": "two", LINK: "three"}}))

    assert [(row["name"], row["value_hmac"]) for row in rows["env_vars"]] == [
        ("A", digest("one")),
        ("[signed link removed]", digest("three")),
        ("a0", digest("two")),
    ]


def test_env_values(flatten):
    """``--env values`` stores the value without presigned URLs; hash and length are of the value itself."""
    rows, _, notices = flatten(
        configured(Environment={"Variables": {"A": "s3cret", "L": f"x {LINK}"}, "New": "s3cret"}), env="values"
    )

    assert [(row["value"], row["value_length"], row["value_hmac"]) for row in rows["env_vars"]] == [
        ("s3cret", 6, digest("s3cret")),
        ("x [signed link removed]", len(LINK) + 2, digest(f"x {LINK}")),
    ]
    assert extra(rows) == {"Configuration.Environment.New": "s3cret"}
    assert notices == ["signed_link_removed: Configuration.Environment.Variables: contained a presigned URL"]


def test_env_none(flatten):
    """``--env none`` leaves the table empty."""
    rows, _, notices = flatten(configured(Environment={"Variables": {"A": "s3cret"}}), env="none")

    assert notices == []
    assert rows == {"functions": [function_row()]}


@pytest.mark.parametrize("env", ["keys", "none"])
@pytest.mark.parametrize(
    ("environment", "path", "outline"),
    [
        ("s3cret", "", {"type": "string", "length": 6}),
        (["s3cret"], "", {"type": "array", "length": 1}),
        ({"Variables": "s3cret"}, ".Variables", {"type": "string", "length": 6}),
        ({"Variables": ["s3cret"]}, ".Variables", {"type": "array", "length": 1}),
        ({"Variables": {"A": {"s3cret": "s3cret"}}}, ".Variables.A", {"type": "object", "length": 1}),
        ({"Variables": {"A": 12345}}, ".Variables.A", {"type": "number", "length": 5}),
        ({"New": ["s3cret", 1]}, ".New", {"type": "array", "length": 2}),
        ({"a b": "s3cret"}, '.["a b"]', {"type": "string", "length": 6}),
        ({"": "s3cret"}, '.[""]', {"type": "string", "length": 6}),
        ({"Error": "s3cret"}, ".Error", {"type": "string", "length": 6}),
        ({"Error": {"New": "s3cret"}}, ".Error.New", {"type": "string", "length": 6}),
        ({"Error": {"ErrorCode": ["s3cret"]}}, ".Error.ErrorCode", {"type": "array", "length": 1}),
    ],
)
def test_under_environment_only_type_and_length(flatten, env, environment, path, outline):
    """An unknown or wrong value under ``Environment`` may be a secret: only its type and length are stored."""
    rows, _, notices = flatten(configured(Environment=environment), env=env)

    assert extra(rows) == {"Configuration.Environment" + path: outline}
    assert "s3cret" not in repr((rows, notices))
    assert "12345" not in repr((rows, notices))


def test_an_environment_out_of_place(flatten):
    """The variables are not stored either if the object around them has the wrong type."""
    rows, _, notices = flatten({"Configuration": [{"Timeout": 3, "Environment": {"Variables": {"A": "s3cret"}}}]})

    assert extra(rows) == {"Configuration": [{"Timeout": 3, "Environment": {"type": "object", "length": 1}}]}
    assert "s3cret" not in repr((rows, notices))
    assert "s3cret" in repr(
        flatten({"Configuration": [{"Environment": {"Variables": {"A": "s3cret"}}}]}, env="values")[0]
    )


def below(path, kept):
    return {f"{path}.{key}": value for key, value in kept.items()}


@pytest.mark.parametrize("env", ["keys", "values", "none"])
def test_unknown_fields_that_may_be_secret(flatten, env):
    """At any path, unknown secrets are stored as type and length, URLs without their queries, the rest whole."""
    rows, _, notices = flatten(
        configured(
            **UNKNOWN,
            LoggingConfig=UNKNOWN,
            Layers=[UNKNOWN],
            FileSystemConfigs=[UNKNOWN],
            SnapStart={"AuthToken": "s3cret", "On": True},
        )
        | {"Code": {"DownloadUrl": "https://x/s3cret", "ImageUri": ["s3cret"], "New": {"a": "s3cret"}}},
        env=env,
    )

    assert extra(rows) == {
        **below("Configuration", KEPT),
        **below("Configuration.LoggingConfig", KEPT),
        "Configuration.SnapStart.AuthToken": {"type": "string", "length": 6},
        "Configuration.SnapStart.On": True,
        "Code.DownloadUrl": {"type": "string", "length": 16},
        "Code.ImageUri": {"type": "array", "length": 1},
        "Code.New": {"type": "object", "length": 1},
    }
    assert [json.loads(rows[name][0]["extra_json"]) for name in ("layers", "file_systems")] == [KEPT, KEPT]
    assert notices == ["wrong_type: Code.ImageUri: wanted text, got array"]


@pytest.mark.parametrize("key", ["EnvironmentV2", "environment", "EnvironmentVariables", "Env"])
def test_environments_of_other_names(flatten, key):
    """A key like an environment's is treated as one: type and length, unless values are wanted."""
    document = configured(
        **{key: {"Variables": {"DB_PASSWORD": "s3cret"}}}, New=[{key: ["s3cret"]}], Layers=[{key: "s3cret"}]
    )
    hidden, shown = flatten(document)[0], flatten(document, env="values")[0]

    assert extra(hidden) == {
        f"Configuration.{key}": {"type": "object", "length": 1},
        "Configuration.New": [{key: {"type": "array", "length": 1}}],
    }
    assert "s3cret" not in repr(hidden)
    assert extra(shown) == {
        f"Configuration.{key}": {"Variables": {"DB_PASSWORD": "s3cret"}},
        "Configuration.New": [{key: ["s3cret"]}],
    }
    assert json.loads(shown["layers"][0]["extra_json"]) == {key: "s3cret"}


@pytest.mark.parametrize(
    "link",
    [
        "https%3A%2F%2Fb%2Fk%3FX-Amz-Signature%3D5161",
        "https%253A%252F%252Fb%252Fk%253FX-Amz-Signature%253D5161",
        "https://b/k?X-Amz-Signature\\u003d5161",
        "https://b/k?X-Amz-Signature=5161",
    ],
)
def test_a_link_in_a_column_however_it_is_written(flatten, link):
    """A presigned URL in a column's text is removed even if its ``=`` is encoded."""
    rows, _, notices = flatten(configured(Description=link))

    assert rows["functions"][0]["description"] == "[signed link removed]"
    assert notices == ["signed_link_removed: Configuration.Description: contained a presigned URL"]
