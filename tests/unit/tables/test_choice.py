"""Which resources a run reads follows from --with, --without and --require."""

from __future__ import annotations

import pytest

from lexport.errors import SettingsError
from lexport.settings import SnapshotSettings
from lexport.tables import account_settings, aliases, functions
from lexport.tables.call import Call
from lexport.tables.choice import choices, choose_resources, requirable
from lexport.tables.resource import Resource
from lexport.tables.table import COMMON, EXTRA_JSON, FUNCTION_KEY, FUNCTION_NAME, Table


def declare(name, **attributes):
    """A resource of one table."""
    table = Table(name, f"Rows of {name}.", (*COMMON, FUNCTION_NAME, EXTRA_JSON), FUNCTION_KEY)
    call = Call(operation=f"Get{name}", path="/{function_name}", iam=(f"lambda:Get{name}",))
    return Resource(name=name, per="function", call=call, tables=(table,), **attributes)


RESOURCES = (
    functions.RESOURCE,
    aliases.RESOURCE,
    account_settings.RESOURCE,
    declare("sources"),
    declare("urls", default=False),
    declare("policies", default=False, settings=("policies_for",)),
    declare("usage", default=False, costs_money=True),
)


NAMES = "the names are sources, urls, policies, usage, all"
REQUIRABLE = "the names are packages, functions, aliases, account_settings, sources, urls, policies, usage"


def chosen(**settings):
    """What is read besides the defaults, and what of them is not, as a manifest has it."""
    options = choose_resources(SnapshotSettings(**settings), RESOURCES).for_manifest()
    return options.get("with"), options.get("without")


@pytest.mark.parametrize(
    ("named", "left_out", "expected"),
    [
        ((), (), (None, None)),
        (("policies,urls",), (), (["urls", "policies"], None)),
        (("policies", "urls policies"), (), (["urls", "policies"], None)),
        (("all",), (), (["urls", "policies"], None)),
        (("all", "usage"), (), (["urls", "policies", "usage"], None)),
        (("all",), ("urls",), (["policies"], None)),
        (("sources",), (), (None, None)),
        ((), ("sources",), (None, ["sources"])),
        ((), ("all",), (None, ["sources"])),
        (("urls",), ("all",), (["urls"], ["sources"])),
        (("sources",), ("all",), (None, None)),
        ((), ("usage",), (None, None)),
    ],
)
def test_what_is_read(named, left_out, expected):
    """`all` is what costs no money; a name has precedence over `all`; a manifest names what is no default."""
    assert chosen(with_resources=named, without_resources=left_out) == expected


def test_the_choice_of_a_choice_is_the_same():
    """Settings whose `all` is written out are the same in another process."""
    once = choose_resources(SnapshotSettings(with_resources=("all",), without_resources=("sources",)), RESOURCES)

    assert choose_resources(once, RESOURCES) == once


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"with_resources": ("polices",)},
            f"--with: there is no resource 'polices'; did you mean policies?; {NAMES}",
        ),
        (
            {"without_resources": ("nothing",)},
            f"--without: there is no resource 'nothing'; {NAMES}",
        ),
        ({"with_resources": ("functions",)}, "--with does not take functions, which every snapshot has"),
        (
            {"without_resources": ("aliases",)},
            "--without does not take aliases, which every snapshot without --no-aliases has",
        ),
        (
            {"with_resources": ("urls",), "without_resources": ("urls",)},
            "--with urls and --without urls exclude each other",
        ),
        (
            {"with_resources": ("all",), "without_resources": ("all",)},
            "--with all and --without all exclude each other",
        ),
        ({"require": ("policies",)}, "--require policies goes with --with policies"),
        ({"policies_for": "functions"}, "--policies-for goes with --with policies"),
        (
            {"with_resources": ("urls",), "functions": ("f",)},
            "--with urls reads a whole fleet, not a list of functions",
        ),
        (
            {"require": ("sources",), "without_resources": ("all",)},
            "--require sources does not go with --without sources",
        ),
        ({"require": ("aliases",), "aliases": False}, "--require aliases does not go with --no-aliases"),
        (
            {"require": ("package",)},
            f"--require: no part of a snapshot is 'package'; did you mean packages?; {REQUIRABLE}",
        ),
    ],
)
def test_a_wrong_choice(settings, message):
    """A wrong name is refused with the names, and a contradiction with what to leave out."""
    with pytest.raises(SettingsError) as refused:
        chosen(**settings)

    assert str(refused.value) == message
    assert refused.value.option == message.partition(" ")[0].rstrip(":")


def test_a_required_resource_is_read():
    """What is required is accepted where it is read; that changes nothing about which rows a run reads."""
    plain = choose_resources(SnapshotSettings(with_resources=("all",)), RESOURCES)
    required = choose_resources(SnapshotSettings(with_resources=("all",), require=("urls,sources",)), RESOURCES)

    assert required.for_manifest()["require"] == ["urls", "sources"]
    assert required.fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        {"with_resources": ("urls",)},
        {"without_resources": ("sources",)},
        {"policies_for": "functions"},
        {"usage_days": 60},
        {"changes_from": "cloudtrail"},
    ],
)
def test_a_run_with_other_resources_is_another_run(other):
    """What is read of resources is among what decides which rows a run has, and only named where it is no default."""
    plain, changed = SnapshotSettings(incremental=True), SnapshotSettings(incremental=True, **other)

    assert plain.fingerprint != changed.fingerprint
    assert len(plain.for_manifest()) == len(changed.for_manifest()) - 1


def test_the_names_of_the_registry():
    """The options take the name of every resource that a snapshot can read."""
    assert set(requirable()) >= {"packages", "functions", "aliases", *choices()} - {"all"}
