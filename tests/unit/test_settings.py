"""Every option that can be checked without asking anybody is checked at once."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lexport.errors import SettingsError
from lexport.model import GET_FUNCTION_QUOTA, GET_POLICY_QUOTA, LIST_QUOTA
from lexport.settings import PackageSettings, SnapshotSettings, is_account_id

NAN = float("nan")


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"qualifiers": "some"}, "--qualifiers"),
        ({"qualifiers": None}, "--qualifiers"),
        ({"env": "all"}, "--env"),
        ({"get_function_rate_per_s": 0}, "--get-function-rate"),
        ({"get_function_rate_per_s": -1.0}, "--get-function-rate"),
        ({"get_function_rate_per_s": NAN}, "--get-function-rate"),
        ({"get_function_rate_per_s": float("inf")}, "--get-function-rate"),
        ({"list_rate_per_s": 0.0}, "--list-rate"),
        ({"quota_share": 0}, "--quota-share"),
        ({"quota_share": 1.01}, "--quota-share"),
        ({"quota_share": NAN}, "--quota-share"),
        ({"regions": ("all", "eu-west-1")}, "--region"),
        ({"with_resources": ("policies,,", " ")}, "--with"),
        ({"without_resources": ("",)}, "--without"),
        ({"policies_for": "nobody"}, "--policies-for"),
        ({"usage_days": 0}, "--usage-days"),
        ({"usage_days": 456}, "--usage-days"),
        ({"changes_from": "config", "incremental": True}, "--changes-from"),
        ({"changes_from": "cloudtrail"}, "--changes-from"),
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


TUPLES = (
    *(
        (SnapshotSettings, name)
        for name in ("regions", "accounts", "organizational_units", "exclude_accounts", "functions")
    ),
    *((PackageSettings, name) for name in ("runtimes", "names", "hosts")),
)
OTHERS = [
    (SnapshotSettings, "profile", 1, "is a text, not int"),
    (SnapshotSettings, "external_id", b"secret", "is a text, not bytes"),
    (SnapshotSettings, "aliases", "no", "is True or False, not str"),
    (SnapshotSettings, "incremental", None, "is True or False, not NoneType"),
    (SnapshotSettings, "allow_partial", 1, "is True or False, not int"),
    (SnapshotSettings, "hash_key_file", 1, "is a path, not int"),
    (SnapshotSettings, "quota_share", "0.5", "is a number, not str"),
    (SnapshotSettings, "list_rate_per_s", True, "is a number, not bool"),
    (SnapshotSettings, "refresh_after", 7, "is a timedelta, not int"),
    (SnapshotSettings, "snapshot_at", "2026-11-22", "is a datetime, not str"),
    (SnapshotSettings, "packages", True, "is a PackageSettings, not bool"),
    (SnapshotSettings, "functions_from", ("a",), "is a text, not tuple"),
    (PackageSettings, "concurrency", 1.5, "is a whole number, not float"),
    (PackageSettings, "max_size_bytes", "100MB", "is a whole number, not str"),
    (PackageSettings, "rate_bytes_per_s", "1MB", "is a number, not str"),
]


@pytest.mark.parametrize(("kind", "name"), TUPLES)
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("us-east-1", "is a tuple of texts, not str"),
        (None, "is a tuple of texts, not NoneType"),
        (1, "is a tuple of texts, not int"),
        ({"us-east-1"}, "is a tuple of texts, not set"),
        ((1,), "is a tuple of texts, and holds int"),
        (["a", None], "is a tuple of texts, and holds NoneType"),
    ],
)
def test_a_text_is_no_tuple(kind, name, value, said):
    """A text where several are wanted would be taken letter by letter, so it is refused, and so is any other type."""
    with pytest.raises(SettingsError) as refused:
        kind(**{name: value})

    assert str(refused.value) == f"{name} {said}"


@pytest.mark.parametrize(("kind", "name", "value", "said"), OTHERS)
def test_a_wrong_type(kind, name, value, said):
    """A value of another type is refused with the name of the setting, and is not repeated: it may be a secret."""
    with pytest.raises(SettingsError) as refused:
        kind(**{name: value})

    assert str(refused.value) == f"{name} {said}"
    assert refused.value.option == name


def test_every_setting_is_of_a_type_that_is_checked():
    """No setting takes just anything."""
    for kind in (SnapshotSettings, PackageSettings):
        for each in fields(kind):
            with pytest.raises(SettingsError):
                kind(**{each.name: object()})


def test_lists_are_tuples():
    """A list is as good as a tuple, and settings are hashable either way; a path may be a text."""
    listed = SnapshotSettings(regions=["us-east-1"], hash_key_file="/key")

    assert listed.regions == ("us-east-1",)
    assert hash(SnapshotSettings(regions=["us-east-1"])) == hash(SnapshotSettings(regions=("us-east-1",)))


@pytest.mark.parametrize(
    "regions",
    [
        ("us-east-1", "eu-west-1"),
        ("us-east-1,eu-west-1",),
        ("us-east-1, eu-west-1",),
        ("us-east-1 eu-west-1",),
        ("us-east-1,", "eu-west-1"),
        ("us-east-1,us-east-1,eu-west-1", "us-east-1"),
        ["\tus-east-1\n", ",eu-west-1,"],
    ],
)
def test_regions_in_one_text(regions):
    """Regions may stand in one text, with commas or blanks between them, each counts once."""
    assert SnapshotSettings(regions=regions).regions == ("us-east-1", "eu-west-1")


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        (("",), "names no Region: ''"),
        (("us-east-1", " , "), "names no Region: ' , '"),
        (("all,us-east-1",), "is `all`"),
    ],
)
def test_regions_that_are_none(regions, said):
    """A text without a Region is refused, for none means the default one; `all` in a text stands alone, too."""
    with pytest.raises(SettingsError, match=f"--region {re.escape(said)}"):
        SnapshotSettings(regions=regions)


def test_defaults_are_awss_quotas():
    """Without options lexport uses four fifths of what AWS allows an account in a Region: 100 and 15 calls a second."""
    settings = SnapshotSettings()

    assert settings.rates_per_s == {GET_FUNCTION_QUOTA: 100.0, LIST_QUOTA: 15.0, GET_POLICY_QUOTA: 15.0}
    assert settings.quota_share == 0.8


@pytest.mark.parametrize("digits", ["١١١١٢٢٢٢٣٣٣٣", "11112222333", "1111222233334", "11112222333²"])
def test_an_account_has_twelve_ascii_digits(digits):
    """Digits of other scripts are none of AWS's."""
    assert is_account_id("111122223333")
    assert not is_account_id(digits)
    with pytest.raises(SettingsError, match="--accounts takes ids of 12 digits"):
        SnapshotSettings(account_role="reader", accounts=(digits,))


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


def test_the_quotas_of_aws_are_the_default_rates():
    """Who says nothing is held to the quotas that AWS documents, of which a share is left to others."""
    settings = SnapshotSettings()

    assert settings.rates_per_s == {GET_FUNCTION_QUOTA: 100.0, LIST_QUOTA: 15.0, GET_POLICY_QUOTA: 15.0}
    assert settings.quota_share == 0.8
