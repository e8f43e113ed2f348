"""Function URLs of functions and aliases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lexport.model import LATEST, Scope
from lexport.simulator.answers import FUTURE, FUTURE_TEXT
from lexport.simulator.function_names import existing_function
from lexport.simulator.pagination import page_of_list
from lexport.simulator.responses import ApiCall
from lexport.simulator.seeded_choices import SeededChoices

if TYPE_CHECKING:
    from lexport.simulator.fleet import Fleet

NAME = "urls"
IS_DEFAULT = False
_SINCE = datetime(2023, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """``Cors`` of a URL; each part may be missing."""

    allow_credentials: bool | None = None
    allow_origins: list[str] | None = None
    allow_methods: list[str] | None = None
    allow_headers: list[str] | None = None
    expose_headers: list[str] | None = None
    max_age_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionUrl:
    """One URL; ``qualifier`` is None for that of the function itself."""

    qualifier: str | None
    url: str
    auth_type: str
    invoke_mode: str | None
    cors: Cors | None
    created_at: datetime
    modified_at: datetime
    has_future: bool


_CORS = (
    None,
    Cors(allow_origins=["*"], allow_methods=["*"]),
    Cors(
        allow_credentials=True,
        allow_origins=["https://shop.acme.example", "https://größe.example"],
        allow_methods=["GET", "POST"],
        allow_headers=["x-api-key"],
        expose_headers=["date"],
        max_age_s=300,
    ),
)


def urls_of(fleet: Fleet, scope: Scope, index: int) -> list[FunctionUrl]:
    """Return the URLs of an existing function: one function in five has one, and some aliases."""
    choices = fleet.choices(NAME, scope, index)
    qualifiers: list[str | None] = [None] if choices.chance(20) else []
    qualifiers += [alias.name for alias in fleet.aliases(scope, index) if choices.chance(10)]
    return [_url(scope, qualifier, choices) for qualifier in qualifiers]


def _url(scope: Scope, qualifier: str | None, choices: SeededChoices) -> FunctionUrl:
    created_at = _SINCE + timedelta(seconds=choices.pick(50_000_000), microseconds=choices.pick(1_000_000))
    return FunctionUrl(
        qualifier=qualifier,
        url=f"https://{choices.hex(32)}.lambda-url.{scope.region}.on.aws/",
        auth_type=choices.choose(("NONE", "AWS_IAM")),
        invoke_mode=choices.choose((None, "BUFFERED", "RESPONSE_STREAM")),
        cors=choices.choose(_CORS),
        created_at=created_at,
        modified_at=created_at + timedelta(minutes=choices.pick(1_000)),
        has_future=choices.chance(20),
    )


# --- answers ----------------------------------------------------------------------------------------------------------


def _list(fleet: Fleet, scope: Scope, call: ApiCall) -> dict[str, Any]:
    index, function = existing_function(fleet, scope, call)
    documents = [_document(function.arn, url) for url in urls_of(fleet, scope, index)]
    return page_of_list(call, "FunctionUrlConfigs", documents)


def _document(arn: str, url: FunctionUrl) -> dict[str, Any]:
    document = (FUTURE if url.has_future else {}) | {
        "FunctionUrl": url.url,
        "FunctionArn": arn if url.qualifier is None else f"{arn}:{url.qualifier}",
        "AuthType": url.auth_type,
        "CreationTime": _as_sent(url.created_at),
        "LastModifiedTime": _as_sent(url.modified_at),
    }
    if url.invoke_mode is not None:
        document["InvokeMode"] = url.invoke_mode
    if (cors := url.cors) is None:
        return document
    parts = {
        "AllowCredentials": cors.allow_credentials,
        "AllowOrigins": cors.allow_origins,
        "AllowMethods": cors.allow_methods,
        "AllowHeaders": cors.allow_headers,
        "ExposeHeaders": cors.expose_headers,
        "MaxAge": cors.max_age_s,
    }
    return {**document, "Cors": {name: value for name, value in parts.items() if value is not None}}


def _as_sent(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"


ANSWERS = {"ListFunctionUrlConfigs": _list}


# --- the oracle -------------------------------------------------------------------------------------------------------


def rows(fleet: Fleet, scope: Scope) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the row of each URL."""
    for index in fleet.indexes(scope):
        for url in urls_of(fleet, scope, index):
            cors = url.cors or Cors()
            yield (
                "function_urls",
                {
                    "account_id": scope.account_id,
                    "region": scope.region,
                    "function_name": fleet.name(index),
                    "qualifier": url.qualifier or LATEST,
                    "function_url": url.url,
                    "auth_type": url.auth_type,
                    "invoke_mode": url.invoke_mode,
                    "cors_allow_credentials": cors.allow_credentials,
                    "cors_allow_origins": _list_text(cors.allow_origins),
                    "cors_allow_methods": _list_text(cors.allow_methods),
                    "cors_allow_headers": _list_text(cors.allow_headers),
                    "cors_expose_headers": _list_text(cors.expose_headers),
                    "cors_max_age": cors.max_age_s,
                    "creation_time_at": url.created_at,
                    "last_modified_time_at": url.modified_at,
                    "extra_json": FUTURE_TEXT if url.has_future else None,
                    "carried_forward": False,
                },
            )


def _list_text(items: list[str] | None) -> str | None:
    return None if items is None else json.dumps(items, ensure_ascii=False, separators=(",", ":"))
