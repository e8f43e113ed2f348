"""Every option that can be checked without asking anybody is checked at once."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lexport.errors import SettingsError
from lexport.settings import SnapshotSettings

NAN = float("nan")


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"qualifiers": "some"}, "--qualifiers"),
        ({"qualifiers": None}, "--qualifiers"),
        ({"env": "all"}, "--env"),
        ({"transport": "curl"}, "--transport"),
        ({"get_function_rate_per_s": 0}, "--get-function-rate"),
        ({"get_function_rate_per_s": -1.0}, "--get-function-rate"),
        ({"get_function_rate_per_s": NAN}, "--get-function-rate"),
        ({"get_function_rate_per_s": float("inf")}, "--get-function-rate"),
        ({"list_rate_per_s": 0.0}, "--list-rate"),
        ({"quota_share": 0}, "--quota-share"),
        ({"quota_share": 1.01}, "--quota-share"),
        ({"quota_share": NAN}, "--quota-share"),
        ({"regions": ("all", "eu-west-1")}, "--region"),
        ({"endpoint_url": "localhost:4566"}, "--endpoint-url"),
        ({"endpoint_url": ""}, "--endpoint-url"),
        ({"snapshot_id": "1"}, "snapshot_id"),
        ({"snapshot_id": "../../x"}, "snapshot_id"),
        ({"snapshot_at": datetime(2026, 11, 22)}, "snapshot_at"),  # noqa: DTZ001 - that it has no zone is the point
    ],
)
def test_a_wrong_option(options, option):
    """A wrong value is refused in one line that begins with the option."""
    with pytest.raises(SettingsError) as refused:
        SnapshotSettings(**options)

    assert str(refused.value).startswith(f"{option} ")
    assert "\n" not in str(refused.value)
    assert refused.value.option == option
    assert isinstance(refused.value, ValueError)


def test_right_options():
    """Bounds and every choice are accepted."""
    for options in (
        {},
        {"quota_share": 1.0, "get_function_rate_per_s": 0.001, "list_rate_per_s": 10**6},
        {"regions": ("all",)},
        {"regions": ("eu-west-1", "us-east-1")},
        {"endpoint_url": "http://127.0.0.1:1"},
        {"endpoint_url": "https://x"},
        {"snapshot_id": "01KB0000000000000000000000", "snapshot_at": datetime(2026, 1, 1, tzinfo=UTC)},
        *({"env": env} for env in ("keys", "values", "none")),
        *({"qualifiers": qualifiers} for qualifiers in ("latest", "published", "all")),
    ):
        SnapshotSettings(**options)


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"incremental": True, "functions": ("f",)}, "--incremental"),
        ({"incremental": True, "functions_from": "-"}, "--incremental"),
        ({"refresh_after": timedelta(days=7)}, "--refresh-after"),
    ],
)
def test_options_that_do_not_go_together(options, option):
    """Options that contradict each other are refused."""
    with pytest.raises(SettingsError) as refused:
        SnapshotSettings(**options)

    assert refused.value.option == option


def test_a_list_is_a_selection():
    """Functions named in either way make a selection; nothing named is the fleet."""
    assert not SnapshotSettings().is_selection
    assert SnapshotSettings(functions=("f",)).is_selection
    assert SnapshotSettings(functions_from="-").is_selection


def test_the_manifest_tells_no_path_and_no_secret():
    """What the manifest says of the options holds no name of a file, a profile, an endpoint or a function."""
    told = SnapshotSettings(
        profile="CANARY",
        endpoint_url="http://CANARY",
        functions=("CANARY",),
        functions_from="/CANARY",
        hash_key_file=Path("/CANARY"),
        regions=("eu-west-1",),
    ).for_manifest()

    assert "CANARY" not in repr(told)
    assert told["regions"] == ["eu-west-1"]
    assert told["is_selection"] is True
    assert (told["env"], told["qualifiers"], told["quota_share"]) == ("keys", "all", 0.8)


def test_frozen():
    """Settings do not change once checked."""
    with pytest.raises(FrozenInstanceError):
        SnapshotSettings().env = "values"


def test_digits_of_other_scripts():
    """An account id is twelve ASCII digits: those of other scripts name no account."""
    with pytest.raises(SettingsError, match="12 digits"):
        SnapshotSettings(account_role="reader", accounts=("\u0661" * 12,))
