"""Compute functions, versions and aliases from the seed, the account-region, the index and the generation.

Rare traits are assigned in turn, not at random: of 60 functions in sequence, each trait has one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lexport.model import LATEST, Scope
from lexport.simulator import known_regions, traits
from lexport.simulator.canaries import CANARIES
from lexport.simulator.package_files import full_key, package
from lexport.simulator.seeded_choices import SeededChoices, digest_hex, uuid_text
from lexport.simulator.spec import AliasSpec, FunctionSpec, LayerSpec, VersionSpec, VpcSpec

_TEAMS = ("billing", "orders", "checkout", "search", "identity", "media", "fraud", "logistics", "growth", "ledger")
_THINGS = ("invoice", "cart", "session", "thumbnail", "shipment", "webhook", "report", "index", "token", "payment")
_DOINGS = ("worker", "api", "handler", "sync", "cleanup", "export", "authorizer", "stream", "notify", "cron")
_RUNTIMES = (
    *(("python3.13", "app.handler"), ("python3.12", "main.lambda_handler"), ("nodejs22.x", "index.handler")),
    *(("nodejs20.x", "dist/index.handler"), ("java21", "com.example.Handler::handleRequest")),
    *(("provided.al2023", "bootstrap"), ("dotnet8", "App::App.Function::Run"), ("python3.8", "old.handler")),
)
_LAYERS = ("common-libs", "otel-collector", "pandas", "secrets-cache", "openssl", "feature-flags")
_TAGS = ("team", "env", "cost-center", "owner", "aws:cloudformation:stack-name", "data-class")
_VALUES = ("platform", "prod", "dev", "cc-1042", "alice@example.com", "stack-main", "internal", "")
_VARIABLES = (
    *("DATABASE_URL", "LOG_LEVEL", "API_KEY", "QUEUE_URL", "TABLE_NAME", "STAGE", "FEATURE_FLAGS", "SERVICE_NAME"),
    *("SENTRY_DSN", "CACHE_HOST", "BUCKET", "TIMEOUT_MS", "POWERTOOLS_LOG_LEVEL", "SECRET_ARN", "REGION_HINT"),
)
_ALIASES = ("live", "beta", "canary", "blue", "prod_2", "rollback-target")

_EPOCH = datetime(2019, 1, 1, tzinfo=UTC)
_NUMBERED = re.compile(r"[a-zA-Z0-9_-]*?(0|[1-9][0-9]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a version is built from; None: as the seed gives it.

    ``code`` names its package, ``at`` is its LastModified, or ``minutes`` after the function's creation,
    ``revision`` counts changes.
    """

    code: str
    minutes: int
    at: datetime | None = None
    description: str | None = None
    memory_mb: int | None = None
    timeout_s: int | None = None
    runtime: str | None = None
    environment: dict[str, str] | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class VersionNumbers:
    """The numbers of ``count`` published versions from 1, without ``hole`` if it is not 0."""

    count: int
    hole: int

    def at(self, position: int) -> int:
        """Return the number at a position, counted from 0."""
        return position + 1 if not self.hole or position + 1 < self.hole else position + 2

    def after(self, number: int) -> range:
        """Return the positions of the numbers that are greater."""
        skipped = 1 if self.hole and number >= self.hole else 0
        return range(max(0, min(number - skipped, self.count)), self.count)

    @property
    def greatest(self) -> int:
        """The greatest number, or 0 if no version is published."""
        return self.at(self.count - 1) if self.count else 0

    def __contains__(self, number: int) -> bool:
        return number != self.hole and 1 <= number <= self.count + (1 if self.hole else 0)


def function_name(seed: int, index: int) -> str:
    """Return the name of a function: the same in every account-region, as in real fleets."""
    choices = SeededChoices("name", seed, index)
    team, thing, doing = choices.choose(_TEAMS), choices.choose(_THINGS), choices.choose(_DOINGS)
    match choices.pick(5):
        case 0:
            return f"{team.title()}{thing.title()}{doing.title()}-{index}"
        case 1:
            return f"{team}_{thing}_{doing}_{index}"
        case _:
            return f"{team}-{thing}-{doing}-{index}"


def function_index(seed: int, name: str) -> int | None:
    """Return the index of a function name, or None if no function of the fleet can have it."""
    matched = _NUMBERED.fullmatch(name)
    if matched is None:
        return None
    index = int(matched[1])
    return index if function_name(seed, index) == name else None


def version_numbers(seed: int, scope: Scope, index: int, mean: int) -> VersionNumbers:
    """Return the published versions: neighbours differ from the mean by the same amount, up and down."""
    pair = SeededChoices("pair", seed, scope.account_id, scope.region, index // 2)
    spread = pair.pick(min(mean, 5) + 1)
    count = mean + spread if index % 2 == 0 else mean - spread
    choices = SeededChoices("hole", seed, scope.account_id, scope.region, index)
    return VersionNumbers(count, 1 + choices.pick(count) if count and choices.chance(25) else 0)


def build_function(seed: int, scope: Scope, index: int, generation: int, *, is_large: bool = False) -> FunctionSpec:
    """Build one function; ``is_large``: with layers of realistic size."""
    choices = SeededChoices("function", seed, scope.account_id, scope.region, index, generation)
    name = function_name(seed, index)
    partition = known_regions.partition(scope.region)
    runtime, handler = choices.choose(_RUNTIMES)
    fields: dict[str, Any] = {
        "scope": scope,
        "partition": partition,
        "index": index,
        "generation": generation,
        "name": name,
        "role": f"arn:{partition}:iam::{scope.account_id}:role/service-role/{name[:40]}-role-{choices.hex(8)}",
        "runtime": runtime,
        "handler": handler,
        "timeout_s": choices.choose((3, 10, 30, 60, 300, 900)),
        "architecture": choices.choose(("x86_64", "arm64")),
        "tracing_mode": choices.choose(("PassThrough", "PassThrough", "Active")),
        "ephemeral_storage_mb": choices.choose((512, 512, 512, 2048)),
        "log_group": f"/aws/lambda/{name}",
        "layers": tuple(
            _layer(seed, scope, partition, choices, is_large=is_large) for _ in range(choices.choose((0, 1, 1, 2)))
        ),
        "tags": {choices.choose(_TAGS): choices.choose(_VALUES) for _ in range(choices.choose((0, 2, 4, 5)))},
    }
    if choices.chance(70):
        fields["vpc"] = VpcSpec(
            vpc_id=f"vpc-{choices.hex(17)}",
            subnet_ids=tuple(f"subnet-{choices.hex(17)}" for _ in range(3)),
            security_group_ids=tuple(f"sg-{choices.hex(17)}" for _ in range(1 + choices.pick(2))),
            ipv6_allowed_for_dual_stack=False if choices.chance(50) else None,
        )
    if choices.chance(15):
        queue = f"arn:{partition}:sqs:{scope.region}:{scope.account_id}:{name[:30]}-dlq"
        fields["dead_letter_arn"] = queue
    trait = traits.trait_of(seed, scope, index)
    return FunctionSpec(**fields | traits.changed_fields(seed, trait, fields, choices))


def _layer(seed: int, scope: Scope, partition: str, choices: SeededChoices, *, is_large: bool) -> LayerSpec:
    name, number = choices.choose(_LAYERS), 1 + choices.pick(4)
    arn = f"arn:{partition}:lambda:{scope.region}:{scope.account_id}:layer:{name}:{number}"
    return LayerSpec(arn=arn, code_size_bytes=package(seed, layer_package_key(seed, arn, is_large=is_large)).code_size)


def layer_package_key(seed: int, arn: str, *, is_large: bool) -> str:
    """Return the key of a layer's package; the rare kinds of ``traits`` stay small."""
    key = f"layer/{arn}"
    return full_key(seed, key, is_large=is_large and arn.rpartition(":")[0].rpartition(":")[2] in _LAYERS)


def package_key(seed: int, function: FunctionSpec, code: str, *, is_large: bool = False) -> str:
    """Return the key of a version's package; about one in ten is shared between functions of a runtime."""
    choices = SeededChoices("code", seed, *_identity(function), code)
    own = "/".join((*map(str, _identity(function)), code))
    key = f"shared/{choices.pick(10)}" if choices.chance(10) else own
    return full_key(seed, key, function.runtime, is_large=is_large)


def build_version(
    seed: int, function: FunctionSpec, version: str, build: Build, *, is_large: bool = False
) -> VersionSpec:
    """Build one version."""
    choices = SeededChoices("version", seed, *_identity(function), version)
    key = package_key(seed, function, build.code, is_large=is_large)
    content = package(seed, key)
    at, text = _last_modified(seed, function, build)
    if build.runtime is not None or build.timeout_s is not None:  # of this version alone
        runtime, timeout_s = build.runtime or function.runtime, build.timeout_s or function.timeout_s
        function = replace(function, runtime=runtime, timeout_s=timeout_s)
    trait = traits.trait_of(seed, function.scope, function.index)
    snap_start_is_on = function.snap_start_apply_on == "PublishedVersions" and version != LATEST
    has_runtime_version = function.runtime is not None and function.runtime_version_error is None
    runtime_id = digest_hex(
        "runtime", function.runtime, choices.pick(3) // 2, size=32
    )  # two of three have the usual one
    # Both are drawn even where the build has its own, so that what is drawn after them stays the same.
    description = traits.description(trait, version, choices)
    memory_mb = choices.choose((128, 256, 512, 1024, 1769, 10240))
    return VersionSpec(
        function=function,
        version=version,
        description=description if build.description is None else build.description,
        memory_mb=memory_mb if build.memory_mb is None else build.memory_mb,
        environment=_environment(trait, choices, build.environment),
        package_key=key,
        code_sha256=content.code_sha256 if function.image is None else image_digest(function, build.code),
        code_size_bytes=content.code_size if function.image is None else 0,
        last_modified=text,
        last_modified_at=at,
        revision_id=uuid_text("revision", seed, *_identity(function), version, build.revision),
        config_sha256=digest_hex("config", *_identity(function), version, build.minutes, size=32)
        if function.has_config_sha256
        else None,
        snap_start_optimization_status="On" if snap_start_is_on else "Off",
        runtime_version_arn=f"arn:{function.partition}:lambda:{function.scope.region}::runtime:{runtime_id}"
        if has_runtime_version
        else None,
    )


def image_digest(function: FunctionSpec, code: str) -> str:
    """Return the digest of an image, hex without ``sha256:``."""
    return digest_hex("image", *_identity(function), code, size=32)


def build_aliases(seed: int, scope: Scope, index: int, numbers: VersionNumbers) -> list[AliasSpec]:
    """Build the aliases of a function; without published versions they point at ``$LATEST``."""
    choices = SeededChoices("aliases", seed, scope.account_id, scope.region, index)
    first, count = choices.pick(len(_ALIASES)), choices.choose((0, 1, 1, 2, 3))
    return [_alias(_ALIASES[(first + i) % len(_ALIASES)], numbers, choices) for i in range(count)]


def _alias(name: str, numbers: VersionNumbers, choices: SeededChoices) -> AliasSpec:
    kind = choices.pick(9)
    position = choices.pick(numbers.count) if numbers.count else 0
    target = str(numbers.at(position)) if numbers.count and kind != 0 else LATEST
    weights: dict[str, float] | None = None
    if target != LATEST and numbers.count > 1:
        second = str(numbers.at((position + 1) % numbers.count))
        weights = {1: {second: 0.2}, 2: {second: 0.0}, 3: {second: 0.333}, 4: {}}.get(kind)
    return AliasSpec(
        name=name,
        function_version=target,
        description={5: None, 6: f"Release {name} ✓"}.get(kind, ""),
        weights=weights,
        has_null_routing=weights is None and kind == 7,
        revision_id=uuid_text("alias", name, choices.hex(32)),
        extra={"FutureField": {"Since": 2026}} if kind == 8 else {},
    )


def _identity(function: FunctionSpec) -> tuple[object, ...]:
    return function.scope.account_id, function.scope.region, function.index, function.generation


def _environment(trait: str, choices: SeededChoices, changed: dict[str, str] | None) -> dict[str, str] | None:
    if trait in ("environment_error", "no_environment"):
        return None
    if changed is not None:
        return changed
    if trait == "empty_environment":
        return {}
    start, count = choices.pick(len(_VARIABLES)), 40 if trait == "much" else choices.choose((5, 7, 8, 9, 11))
    names = [
        _VARIABLES[(start + i) % len(_VARIABLES)] + (f"_{i}" if i >= len(_VARIABLES) else "") for i in range(count)
    ]
    token = choices.hex(32)
    values = {name: f"{name.lower()}-{token[i % 20 :]}" for i, name in enumerate(names)}
    if trait == "unicode":
        values |= {"GREETING": "grüß Gott, 東京 🚀", "QUOTED": 'a "quoted" \\ back\nslash'}
    if trait == "kms_environment":
        values |= {name: value for name, (value, _) in CANARIES.items()}
    if trait == "empty_value":
        values |= {"EMPTY": "", "SPACE": " "}
    return values


def _last_modified(seed: int, function: FunctionSpec, build: Build) -> tuple[datetime, str]:
    choices = SeededChoices("modified", seed, *_identity(function))
    at = _EPOCH + timedelta(milliseconds=choices.pick(1000), seconds=choices.pick(150_000_000), minutes=build.minutes)
    at = build.at or at
    if choices.chance(3):  # other spellings of ISO 8601 that AWS documents
        at = at.replace(microsecond=0)
        return at, at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return at, f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}+0000"
