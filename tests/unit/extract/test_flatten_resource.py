"""Aliases and account settings, and all of their rows."""

from __future__ import annotations

import json

import pytest
from flattened import ARN, KEPT, LINK, UNKNOWN

from lexport.errors import FlattenError


def alias(name="live", version="2", **fields):
    return {"AliasArn": f"{ARN}:{name}", "Name": name, "FunctionVersion": version, **fields}


def test_an_alias(flatten_page):
    """An alias that points to one version sends all traffic there."""
    rows, notices = flatten_page(alias(Description="", RevisionId="r", RoutingConfig=None))

    assert notices == []
    assert rows == {
        "aliases": [
            {
                "function_name": "my-function",
                "alias": "live",
                "function_version": "2",
                "description": "",
                "revision_id": "r",
            }
        ],
        "alias_routes": [{"function_name": "my-function", "alias": "live", "version": "2", "weight": 1.0}],
    }


@pytest.mark.parametrize(
    ("weights", "routes"),
    [
        ({"1": 0.2}, {"1": 0.2, "2": 0.8}),
        ({"1": 0.1, "3": 0.2}, {"1": 0.1, "3": 0.2, "2": 0.7}),
        ({"1": 0.07}, {"1": 0.07, "2": 0.93}),
        ({"1": 0.0}, {"1": 0.0, "2": 1.0}),
        ({"1": 1}, {"1": 1.0, "2": 0.0}),
        ({}, {"2": 1.0}),
        ({"2": 0.25}, {"2": 1.0}),
        ({"1": None}, {"2": 1.0}),
    ],
)
def test_weights(flatten_page, weights, routes):
    """Weights are the decimals that AWS sends; the first version gets the rest of 1, as a decimal."""
    rows, notices = flatten_page(alias(RoutingConfig={"AdditionalVersionWeights": weights}))

    assert notices == []
    assert {row["version"]: row["weight"] for row in rows["alias_routes"]} == routes
    assert sum(routes.values()) == pytest.approx(1.0, abs=1e-12)


def test_an_alias_to_nowhere(flatten_page):
    """An alias without a first version has only its other routes."""
    rows, _ = flatten_page({"Name": "live", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.3}}})

    assert rows == {
        "aliases": [{"function_name": "my-function", "alias": "live"}],
        "alias_routes": [{"function_name": "my-function", "alias": "live", "version": "1", "weight": 0.3}],
    }


def test_unknown_fields_of_an_alias_that_may_be_secret(flatten_page):
    """Unknown fields of an alias are judged as those of a function are."""
    rows, _ = flatten_page(alias(**UNKNOWN, EnvironmentV2={"A": "s3cret"}))

    assert json.loads(rows["aliases"][0]["extra_json"]) == KEPT | {"EnvironmentV2": {"type": "object", "length": 1}}


def test_unknown_and_wrong_fields_of_an_alias(flatten_page):
    """Unknown fields of an alias are in its extra_json, exactly; a wrong type has a notice."""
    rows, notices = flatten_page(
        alias(name="other"),
        alias(
            New=10**30,
            Description=5,
            RoutingConfig={"New": f"see {LINK}", "AdditionalVersionWeights": {"1": "half", "3": True, "4": 0.5}},
        ),
        alias(name="third", RoutingConfig={"AdditionalVersionWeights": [0.5]}),
    )

    assert json.loads(rows["aliases"][1]["extra_json"]) == {
        "Description": 5,
        "New": 10**30,
        "RoutingConfig.AdditionalVersionWeights.1": "half",
        "RoutingConfig.AdditionalVersionWeights.3": True,
        "RoutingConfig.New": "see [signed link removed]",
    }
    assert json.loads(rows["aliases"][2]["extra_json"]) == {"RoutingConfig.AdditionalVersionWeights": [0.5]}
    assert [(row["alias"], row["version"], row["weight"]) for row in rows["alias_routes"]] == [
        ("other", "2", 1.0),
        ("live", "4", 0.5),
        ("live", "2", 0.5),
        ("third", "2", 1.0),
    ]
    assert sorted(notices) == [
        "signed_link_removed: RoutingConfig.New: contained a presigned URL",
        "wrong_type: Description: wanted text, got number",
        "wrong_type: RoutingConfig.AdditionalVersionWeights.1: wanted double, got string",
        "wrong_type: RoutingConfig.AdditionalVersionWeights.3: wanted double, got boolean",
        "wrong_type: RoutingConfig.AdditionalVersionWeights: wanted object, got array",
    ]


@pytest.mark.parametrize("item", [{}, {"Name": ""}, {"Name": 5}, {"Name": None, "FunctionVersion": "1"}, None, "x", []])
def test_an_item_without_a_name(flatten_page, item):
    """An item that is no alias is one lost item."""
    with pytest.raises(FlattenError) as lost:
        flatten_page(item)
    assert lost.value.code == "invalid_item"


def test_account_settings(flatten_settings):
    """Limits and use are one row; AWS's own function count is returned too."""
    rows, count, notices = flatten_settings(
        {
            "AccountLimit": {
                "TotalCodeSize": 322122547200,
                "CodeSizeUnzipped": 262144000,
                "CodeSizeZipped": 52428800,
                "ConcurrentExecutions": 1000,
                "UnreservedConcurrentExecutions": 0,
            },
            "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": 4},
        }
    )

    assert (count, notices) == (4, [])
    assert rows == {
        "account_settings": [
            {
                "concurrent_executions_limit": 1000,
                "unreserved_concurrent_executions": 0,
                "code_size_limit": 322122547200,
                "code_size_used": 0,
                "function_count": 4,
            }
        ]
    }


def test_wrong_account_settings(flatten_settings):
    """A value of a wrong type is NULL with a notice; an unknown number is ignored."""
    rows, count, notices = flatten_settings(
        {"AccountLimit": {"New": 10**30, "TotalCodeSize": 10**30}, "AccountUsage": {"FunctionCount": "4"}}
    )

    assert (rows, count) == ({"account_settings": [{}]}, None)
    assert notices == [
        "wrong_type: AccountLimit.TotalCodeSize: wanted int64, got number",
        "wrong_type: AccountUsage.FunctionCount: wanted int64, got string",
    ]
