"""A fleet of any size from a seed: functions are computed when they are needed, and only changes are stored.

The fleet is also the test oracle: ``expected`` yields the rows of a correct snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from lexport.model import LATEST, Scope
from lexport.settings import EnvMode
from lexport.simulator import known_regions, nights, oracle, resources, seeded
from lexport.simulator.event_history import EventHistory
from lexport.simulator.fleet_changes import Change, Overlay
from lexport.simulator.seeded import Build, VersionNumbers
from lexport.simulator.seeded_choices import SeededChoices, uuid_text
from lexport.simulator.spec import AliasSpec, FunctionSpec, VersionSpec

CONCURRENCY_LIMIT = 1_000
CODE_LIMIT_BYTES = 322_122_547_200

_MINUTES_OF_A_GENERATION = 1_400_000
_FIRST_NIGHT_AT = datetime(2026, 6, 1, 2, tzinfo=UTC)
_build_function = lru_cache(maxsize=2048)(seeded.build_function)
_UNTOUCHED = Overlay()


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSpec:
    """The size and the account-regions of a fleet.

    ``functions`` is per account-region, ``versions`` the mean of published versions per function; over an even number
    of functions it is exact. ``regions`` None: every enabled Region has a fleet. The first account manages the others.
    ``large_packages``: packages and layers of 1 KB to 250 MB, sized as in real fleets, instead of 1 to 4 KB.
    Roles of ``closed_accounts`` cannot be assumed, and those of other accounts only with ``external_id`` if it is set.
    ``night``: the fleet as it is so many nights after ``first_night_at``; each night, the share ``drift`` of the
    functions, but at least one, is created, changed or deleted.
    """

    functions: int
    versions: int
    seed: int = 1
    accounts: tuple[str, ...] = ("111122223333",)
    regions: tuple[str, ...] | None = None
    disabled_regions: tuple[str, ...] = ("me-south-1", "af-south-1", "ap-east-1", "il-central-1")
    suspended_accounts: tuple[str, ...] = ()
    closed_accounts: tuple[str, ...] = ()
    external_id: str | None = None
    large_packages: bool = False
    night: int = 0
    drift: float = nights.DRIFT
    first_night_at: datetime = _FIRST_NIGHT_AT


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counts of one account-region; ``versions`` includes ``$LATEST``."""

    functions: int
    versions: int
    aliases: int


class Fleet:
    """All functions of all account-regions."""

    def __init__(self, spec: FleetSpec) -> None:
        self.spec = spec
        self._overlays: dict[tuple[Scope, int], Overlay] = {}
        self._created: dict[Scope, int] = {}
        """How many functions were created; has a key for each account-region that was brought to its night."""
        self._histories: dict[Scope, EventHistory] = {}

    # --- reading ------------------------------------------------------------------------------------------------

    def is_enabled(self, region: str) -> bool:
        """Return whether a Region exists and is enabled."""
        return region in known_regions.REAL and region not in self.spec.disabled_regions

    def size(self, scope: Scope) -> int:
        """Return how many functions there ever were; their indexes are below it."""
        if not self._has_functions(scope):
            return 0
        self._reach_night(scope)
        return self.spec.functions + self._created.get(scope, 0)

    def exists(self, scope: Scope, index: int) -> bool:
        """Return whether the function with this index, which is below ``size``, is not deleted."""
        return not self._overlay(scope, index).is_deleted

    def greatest_version(self, scope: Scope, index: int) -> int:
        """Return the greatest number that a version of a function has or had, or 0."""
        return max(self._overlay(scope, index).greatest, self._seeded_numbers(scope, index).greatest)

    def indexes(self, scope: Scope, start: int = 0) -> Iterator[int]:
        """Yield the index of every existing function, in listing order."""
        for index in range(start, self.size(scope)):
            overlay = self._overlays.get((scope, index))
            if overlay is None or not overlay.is_deleted:
                yield index

    def name(self, index: int) -> str:
        """Return the name of the function with this index; the same in every account-region."""
        return seeded.function_name(self.spec.seed, index)

    def names(self, scope: Scope) -> Iterator[str]:
        """Yield the names of the existing functions, in listing order."""
        return map(self.name, self.indexes(scope))

    def index(self, scope: Scope, name: str) -> int | None:
        """Return the index of an existing function, or None if there is none of that name."""
        index = seeded.function_index(self.spec.seed, name)
        if index is None or index >= self.size(scope) or self._overlay(scope, index).is_deleted:
            return None
        return index

    def function(self, scope: Scope, index: int) -> FunctionSpec:
        """Return a function as it is now."""
        overlay = self._overlay(scope, index)
        function = _build_function(self.spec.seed, scope, index, overlay.generation, is_large=self.spec.large_packages)
        if overlay.tags is not None:
            function = replace(function, tags=overlay.tags, tags_error=None)
        if overlay.has_reserved:
            function = replace(function, reserved_concurrency=overlay.reserved_concurrency)
        return function

    def published(self, scope: Scope, index: int, after: int = 0) -> Iterator[int]:
        """Yield the numbers of the published versions above ``after``, ascending."""
        overlay = self._overlay(scope, index)
        numbers = self._seeded_numbers(scope, index)
        for position in numbers.after(after):
            number = numbers.at(position)
            if number not in overlay.removed:
                yield number
        yield from (number for number in sorted(overlay.published) if number > after)

    def version(
        self, scope: Scope, index: int, version: str, function: FunctionSpec | None = None
    ) -> VersionSpec | None:
        """Return a version as it is now, or None; ``function`` is passed if it is at hand."""
        if function is None:
            function = self.function(scope, index)
        build = self._build(function, self._overlay(scope, index), version)
        if build is None:
            return None
        spec = seeded.build_version(self.spec.seed, function, version, build, is_large=self.spec.large_packages)
        revision_id = self._with_policies(scope, index, spec.revision_id)
        return spec if revision_id == spec.revision_id else replace(spec, revision_id=revision_id)

    def aliases(self, scope: Scope, index: int) -> list[AliasSpec]:
        """Return the aliases of a function as they are now."""
        overlay = self._overlay(scope, index)
        aliases: dict[str, AliasSpec | None] = {}
        if not overlay.generation:
            numbers = self._seeded_numbers(scope, index)
            aliases |= {alias.name: alias for alias in seeded.build_aliases(self.spec.seed, scope, index, numbers)}
        existing = [alias for alias in (aliases | overlay.aliases).values() if alias is not None]
        if "policies" not in overlay.resources:
            return existing
        return [replace(alias, revision_id=self._with_policies(scope, index, alias.revision_id)) for alias in existing]

    def _with_policies(self, scope: Scope, index: int, revision_id: str) -> str:
        """Return the revision of a function, alias or version, which is another one after each change of policies."""
        count = self._overlay(scope, index).resources.get("policies", 0)
        return uuid_text("policies", revision_id, count) if count else revision_id

    def choices(self, resource: str, scope: Scope, index: int, *of: str) -> SeededChoices:
        """Return the choices that a resource of a function, or a part ``of`` it, is made of.

        They are others after each change of that resource.
        """
        overlay = self._overlay(scope, index)
        where = (self.spec.seed, scope.account_id, scope.region, index, overlay.generation)
        return SeededChoices(resource, *where, self.changes_of(resource, scope, index), *of)

    def changes_of(self, resource: str, scope: Scope, index: int) -> int:
        """Return how often a resource of a function was changed."""
        return self._overlay(scope, index).resources.get(resource, 0)

    # --- the oracle ---------------------------------------------------------------------------------------------

    def counts(self, scope: Scope) -> Counts:
        """Count functions, versions and aliases of one account-region."""
        functions = versions = aliases = 0
        for index in self.indexes(scope):
            functions += 1
            aliases += len(self.aliases(scope, index))
            overlay = self._overlay(scope, index)
            count = self._seeded_numbers(scope, index).count
            versions += 1 + count - len(overlay.removed) + len(overlay.published)
        return Counts(functions=functions, versions=versions, aliases=aliases)

    def account_settings(self, scope: Scope) -> dict[str, int]:
        """Return limits and usage by column; the used code size is an estimate, the count of functions is exact."""
        size = self.size(scope)
        deleted = sum(overlay.is_deleted for (changed, _), overlay in self._overlays.items() if changed == scope)
        reserved = SeededChoices("account", self.spec.seed, scope.account_id, scope.region).pick(CONCURRENCY_LIMIT // 2)
        return {
            "concurrent_executions_limit": CONCURRENCY_LIMIT,
            "unreserved_concurrent_executions": CONCURRENCY_LIMIT - reserved,
            "code_size_limit": CODE_LIMIT_BYTES,
            "code_size_used": size * (1 + self.spec.versions) * 2_048,
            "function_count": size - deleted,
        }

    def expected(
        self,
        scope: Scope,
        *,
        env: EnvMode = "keys",
        value_hmac: Callable[[str], str],
        hash_key_id: str,
        with_resources: Collection[str] = (),
    ) -> Iterator[tuple[str, oracle.Row]]:
        """Yield (table, row) for every row of a complete snapshot of an account-region.

        ``with_resources`` are the names of resources that not every run reads, as ``--with`` takes them.
        Rows have every column of their table but ``snapshot_id``, ``snapshot_at`` and ``fetched_at``.
        Order: as listed, not sorted by key.
        """
        key: oracle.Row = {"account_id": scope.account_id, "region": scope.region}
        yield "account_settings", key | self.account_settings(scope)
        for index in self.indexes(scope):
            yield from self.expected_of(scope, index, env=env, value_hmac=value_hmac, hash_key_id=hash_key_id)
        yield from resources.expected_rows(self, scope, with_resources, value_hmac)

    def expected_of(
        self, scope: Scope, index: int, *, env: EnvMode = "keys", value_hmac: Callable[[str], str], hash_key_id: str
    ) -> Iterator[tuple[str, oracle.Row]]:
        """Yield (table, row) for every row of one existing function, as ``expected`` does."""
        function = self.function(scope, index)
        yield from oracle.tag_rows(function)
        for version in (LATEST, *map(str, self.published(scope, index))):
            spec = self.version(scope, index, version, function)
            assert spec is not None
            yield from oracle.version_rows(spec, env=env, value_hmac=value_hmac, hash_key_id=hash_key_id)
        for alias in self.aliases(scope, index):
            yield from oracle.alias_rows(function, alias)

    # --- changes ------------------------------------------------------------------------------------------------

    def history(self, scope: Scope) -> EventHistory:
        """Return the event history of an account-region."""
        self._reach_night(scope)
        return self._histories.setdefault(scope, EventHistory(scope))

    def apply(self, change: Change) -> None:
        """Apply one change, which the event history then shows; raises ValueError if AWS would refuse it."""
        history = self.history(change.scope)
        if change.error_code is None:
            self._make(change)
        history.record(change, datetime.now(UTC))

    def _make(self, change: Change) -> None:  # noqa: C901, PLR0912 - one case for each kind of change
        scope = change.scope
        size = self.size(scope)
        if change.kind == "create_function":
            self._create_function(scope, size, change)
            return
        index = seeded.function_index(self.spec.seed, change.function_name)
        if index is None or index >= size:
            raise ValueError(f"{change.function_name} was never a function of {scope}")
        overlay = self._overlays.setdefault((scope, index), Overlay())
        if change.kind == "recreate_function":
            self._overlays[scope, index] = Overlay(generation=overlay.generation + 1, changed_at=change.at)
            return
        if overlay.is_deleted:
            raise ValueError(f"{change.function_name} is deleted")
        match change.kind:
            case "delete_function":
                overlay.is_deleted = True
            case "delete_version":
                self._delete_version(scope, index, change, overlay)
            case "publish_version":
                self._publish_version(scope, index, change, overlay)
            case "set_tags":
                overlay.tags = dict(change.tags)
                overlay.revision += 1
            case "set_reserved_concurrency":
                overlay.has_reserved, overlay.reserved_concurrency = True, change.reserved_concurrency
            case "create_alias" | "move_alias" | "delete_alias":
                self._change_alias(scope, index, change, overlay)
            case "change_resource":
                name = change.resource or ""
                for each in (name, "policies") if name == "urls" else (name,):  # whom a URL is for, its policy says
                    overlay.resources[each] = overlay.resources.get(each, 0) + 1
            case "update_config":
                for name in ("memory_mb", "timeout_s", "runtime", "description", "environment"):
                    if (value := getattr(change, name)) is not None:
                        setattr(overlay, name, value)
                overlay.update(change.at)
            case "update_code":
                overlay.update(change.at)
                overlay.code = f"update{overlay.updates}"

    def _create_function(self, scope: Scope, size: int, change: Change) -> None:
        if not self._has_functions(scope) or change.function_name != self.name(size):
            raise ValueError(f"the next function of {scope} cannot be {change.function_name}")
        self._created[scope] = self._created.get(scope, 0) + 1
        self._overlays[scope, size] = Overlay(generation=1, changed_at=change.at)

    def _delete_version(self, scope: Scope, index: int, change: Change, overlay: Overlay) -> None:
        version = change.version or ""
        if not version.isdecimal() or self.version(scope, index, version) is None:
            raise ValueError(f"{change.function_name} has no published version {version!r}")
        for alias in self.aliases(scope, index):
            if version == alias.function_version or version in (alias.weights or {}):
                raise ValueError(f"version {version} of {change.function_name} is in use by alias {alias.name}")
        if overlay.published.pop(int(version), None) is None:
            overlay.removed.add(int(version))

    def _publish_version(self, scope: Scope, index: int, change: Change, overlay: Overlay) -> None:
        latest = self.version(scope, index, LATEST)
        assert latest is not None
        build = self._build_of_latest(latest.function, overlay)
        overlay.greatest = self.greatest_version(scope, index) + 1
        overlay.published[overlay.greatest] = replace(
            build,
            minutes=build.minutes + 1,
            at=change.at or build.at,
            description=latest.description,
            memory_mb=latest.memory_mb,
            environment=latest.environment,
            revision=0,
        )
        overlay.revision += 1

    def _change_alias(self, scope: Scope, index: int, change: Change, overlay: Overlay) -> None:
        name, version, weights = change.alias or "", change.version or "", change.weights
        alias = {alias.name: alias for alias in self.aliases(scope, index)}.get(name)
        if (alias is None) != (change.kind == "create_alias"):
            raise ValueError(f"{change.function_name} has {'no' if alias is None else 'an'} alias {name!r}")
        if change.kind == "delete_alias":
            overlay.aliases[name] = None
            return
        for each in (version, *(weights or ())):
            is_latest = each == LATEST and not weights
            if not is_latest and (not each.isdecimal() or self.version(scope, index, each) is None):
                raise ValueError(f"{change.function_name} has no version {each!r}")
        revision_id = uuid_text(
            "moved", alias.revision_id if alias else (scope, index, name), overlay.revision, version
        )
        if alias is None:
            alias = AliasSpec(name=name, function_version=version, description="", weights=None, revision_id="")
        overlay.aliases[name] = replace(alias, function_version=version, weights=weights, revision_id=revision_id)

    # --- from seed and overlay ----------------------------------------------------------------------------------

    def _has_functions(self, scope: Scope) -> bool:
        spec = self.spec
        is_elsewhere = spec.regions is not None and scope.region not in spec.regions
        return not is_elsewhere and scope.account_id in spec.accounts and self.is_enabled(scope.region)

    def _reach_night(self, scope: Scope) -> None:
        """Make the changes of all nights up to the fleet's, when an account-region is first read."""
        if not self.spec.night or scope in self._created:
            return
        self._created[scope] = 0
        for night in range(1, self.spec.night + 1):
            at = datetime.now(UTC) - timedelta(days=self.spec.night - night)
            for change in nights.changes(self, scope, night):
                self._make(change)
                self.history(scope).record(change, at)

    def _overlay(self, scope: Scope, index: int) -> Overlay:
        self._reach_night(scope)
        return self._overlays.get((scope, index), _UNTOUCHED)

    def _seeded_numbers(self, scope: Scope, index: int) -> VersionNumbers:
        if self._overlay(scope, index).generation:
            return VersionNumbers(0, 0)
        return seeded.version_numbers(self.spec.seed, scope, index, self.spec.versions)

    def _build(self, function: FunctionSpec, overlay: Overlay, version: str) -> Build | None:
        if version == LATEST:
            return self._build_of_latest(function, overlay)
        number = int(version)
        if str(number) != version or number in overlay.removed:
            return None
        is_seeded = number in self._seeded_numbers(function.scope, function.index)
        return overlay.published.get(number) or (Build(code=f"v{number}", minutes=number) if is_seeded else None)

    def _build_of_latest(self, function: FunctionSpec, overlay: Overlay) -> Build:
        """Return what ``$LATEST`` is built from; half of the functions have published it as their last version."""
        numbers = self._seeded_numbers(function.scope, function.index)
        has_published = numbers.count and function.index % 2 == 0
        return Build(
            code=overlay.code or (f"v{numbers.greatest}" if has_published else "latest"),
            minutes=numbers.greatest + 1 + overlay.updates + overlay.generation * _MINUTES_OF_A_GENERATION,
            at=overlay.changed_at,
            description=overlay.description,
            memory_mb=overlay.memory_mb,
            timeout_s=overlay.timeout_s,
            runtime=overlay.runtime,
            environment=overlay.environment,
            revision=overlay.revision,
        )
