"""Event source mappings: every kind of source, state and filter, of existing functions and of deleted ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lexport.model import LATEST, Scope
from lexport.simulator import known_regions
from lexport.simulator.answers import Leaves, nested
from lexport.simulator.function_names import function_arn
from lexport.simulator.pagination import Position, max_items, page_of, start_of, with_marker
from lexport.simulator.responses import ApiCall
from lexport.simulator.seeded_choices import SeededChoices, uuid_text

if TYPE_CHECKING:
    from lexport.simulator.fleet import Fleet

NAME = "event-sources"
IS_DEFAULT = True

GHOST = "function-deleted-years-ago"
"""A function that no fleet has, and that a mapping is left of."""
PAGE_SIZE = 100
_EVERY = 4  # one function in four has a mapping
_SINCE = datetime(2024, 1, 1, tzinfo=UTC)
_FILTERS = {"Filters": [{"Pattern": '{"body":{"kind":["order","größe"]}}'}, {"Pattern": '{"body":{"test":[false]}}'}]}
_BROKERS = ["b-1.acme.example:9092", "b-2.acme.example:9092"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mapping:
    """One mapping: what it invokes, and the values of its document by path. ``source`` is the kind of the table."""

    uuid: str
    function_name: str
    qualifier: str | None
    source: str
    leaves: Leaves


@dataclass(frozen=True, slots=True)
class _Context:
    """What the ARNs of a mapping are made of."""

    partition: str
    scope: Scope
    choices: SeededChoices

    def arn(self, service: str, resource: str, account_id: str = "") -> str:
        return f"arn:{self.partition}:{service}:{self.scope.region}:{account_id or self.scope.account_id}:{resource}"

    def name(self) -> str:
        return self.choices.choose(("orders", "clicks", "invoices", "shipments"))


def _queue(context: _Context) -> dict[str, Any]:
    return {
        "EventSourceArn": context.arn("sqs", context.name()),
        "BatchSize": context.choices.choose((1, 10, 10_000)),
        "MaximumBatchingWindowInSeconds": context.choices.choose((0, 5, 300)),
        "FunctionResponseTypes": context.choices.choose(([], ["ReportBatchItemFailures"])),
    }


def _stream(context: _Context, service: str = "kinesis") -> dict[str, Any]:
    resource = {"kinesis": "stream/{}", "dynamodb": "table/{}/stream/2025-01-01T00:00:00.000"}[service]
    return {
        "EventSourceArn": context.arn(service, resource.format(context.name())),
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 0,
        "StartingPosition": context.choices.choose(("LATEST", "TRIM_HORIZON")),
        "ParallelizationFactor": 1,
        "MaximumRecordAgeInSeconds": -1,
        "MaximumRetryAttempts": -1,
        "BisectBatchOnFunctionError": False,
        "TumblingWindowInSeconds": 0,
        "LastProcessingResult": "OK",
        "DestinationConfig": {"OnFailure": {}},
        "FunctionResponseTypes": [],
    }


def _with_destination(context: _Context) -> dict[str, Any]:
    leaves = _stream(context)
    del leaves["DestinationConfig"]
    return leaves | {
        "StartingPosition": "AT_TIMESTAMP",
        "StartingPositionTimestamp": _SINCE + timedelta(minutes=context.choices.pick(1_000)),
        "MaximumRetryAttempts": 3,
        "MaximumRecordAgeInSeconds": 3_600,
        "BisectBatchOnFunctionError": True,
        "ParallelizationFactor": 4,
        "TumblingWindowInSeconds": 30,
        "DestinationConfig.OnFailure.Destination": context.arn("sqs", "failed-batches"),
    }


def _self_managed_kafka(context: _Context) -> dict[str, Any]:
    registry = "SelfManagedKafkaEventSourceConfig.SchemaRegistryConfig."
    secret = context.arn("secretsmanager", "secret:kafka-a1b2c3")
    return {
        "SelfManagedEventSource.Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": _BROKERS},
        "Topics": [context.name()],
        "SourceAccessConfigurations": [{"Type": "SASL_SCRAM_512_AUTH", "URI": secret}],
        "SelfManagedKafkaEventSourceConfig.ConsumerGroupId": "acme-consumers",
        registry + "SchemaRegistryURI": "https://registry.acme.example",
        registry + "EventRecordFormat": "JSON",
        registry + "AccessConfigs": [{"Type": "BASIC_AUTH", "URI": secret}],
        registry + "SchemaValidationConfigs": [{"Attribute": "VALUE"}],
        "ProvisionedPollerConfig.MinimumPollers": 1,
        "ProvisionedPollerConfig.MaximumPollers": 10,
        "ProvisionedPollerConfig.PollerGroupName": "acme-group",
        "LoggingConfig.SystemLogLevel": "INFO",
        "MetricsConfig.Metrics": ["EventCount", "ErrorCount", "KafkaMetrics"],
        "StartingPosition": "LATEST",
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 1,
        "LastProcessingResult": "No records processed",
    }


def _managed_kafka(context: _Context) -> dict[str, Any]:
    registry = "AmazonManagedKafkaEventSourceConfig.SchemaRegistryConfig."
    return {
        "EventSourceArn": context.arn("kafka", "cluster/acme/6357e0b2-0e6a-4b86-a0b4-70df934c2e31-5"),
        "Topics": [context.name()],
        "AmazonManagedKafkaEventSourceConfig.ConsumerGroupId": "acme-consumers",
        registry + "SchemaRegistryURI": context.arn("glue", "registry/acme"),
        registry + "EventRecordFormat": "SOURCE",
        registry + "AccessConfigs": [],
        registry + "SchemaValidationConfigs": [{"Attribute": "KEY"}, {"Attribute": "VALUE"}],
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 500,
        "LastProcessingResult": "PROBLEM: Connection error. Please check your event source connection configuration.",
    }


def _broker(context: _Context) -> dict[str, Any]:
    secret = context.arn("secretsmanager", "secret:broker-a1b2c3")
    return {
        "EventSourceArn": context.arn("mq", "broker:acme:b-1234a5b6-78cd-901e-2fgh-3i45j6k178l9"),
        "Queues": [context.name()],
        "SourceAccessConfigurations": [{"Type": "BASIC_AUTH", "URI": secret}, {"Type": "VIRTUAL_HOST", "URI": "/"}],
        "BatchSize": 100,
        "LastProcessingResult": "OK",
    }


def _documents(context: _Context) -> dict[str, Any]:
    return {
        "EventSourceArn": context.arn("rds", "cluster:acme-documents"),
        "DocumentDBEventSourceConfig.DatabaseName": "shop",
        "DocumentDBEventSourceConfig.CollectionName": context.name(),
        "DocumentDBEventSourceConfig.FullDocument": "UpdateLookup",
        "SourceAccessConfigurations": [{"Type": "BASIC_AUTH", "URI": context.arn("secretsmanager", "secret:docs-1a2")}],
        "StartingPosition": "LATEST",
        "BatchSize": 100,
        "LastProcessingResult": "OK",
    }


def _filtered(context: _Context) -> dict[str, Any]:
    more = {"FilterCriteria": _FILTERS, "ScalingConfig.MaximumConcurrency": 5, "MetricsConfig.Metrics": ["EventCount"]}
    return _queue(context) | more


def _encrypted(context: _Context) -> dict[str, Any]:
    """Return a mapping whose filters lists do not show."""
    return _queue(context) | {"KMSKeyArn": context.arn("kms", f"key/{context.choices.hex(12)}"), "FilterCriteria": None}


def _broken_filters(context: _Context) -> dict[str, Any]:
    error = "FilterCriteriaError."
    return _encrypted(context) | {error + "ErrorCode": "KMSAccessDenied", error + "Message": "kms:Decrypt was denied"}


def _failing(context: _Context) -> dict[str, Any]:
    return _stream(context) | {"LastProcessingResult": "PROBLEM: Function call failed"}


def _disabled(context: _Context) -> dict[str, Any]:
    return _queue(context) | {"State": "Disabled"}


def _disabled_by_lambda(context: _Context) -> dict[str, Any]:
    result = "PROBLEM: Lambda is missing permissions to access the event source."
    return _stream(context, "dynamodb") | {
        "State": "Disabled",
        "StateTransitionReason": "Lambda initiated",
        "LastProcessingResult": result,
    }


def _future(context: _Context) -> dict[str, Any]:
    return _queue(context) | {
        "State": "Creating",
        "DestinationConfig.OnSuccess.Destination": context.arn("sns", "done"),
        "FutureField": {"Mode": "New"},
    }


def _foreign_queue(context: _Context) -> dict[str, Any]:
    return _queue(context) | {"EventSourceArn": context.arn("sqs", "shared", "444455556666")}


_VARIANTS: tuple[tuple[str, Callable[[_Context], dict[str, Any]]], ...] = (
    ("sqs", _queue),
    ("kinesis", _stream),
    ("dynamodb", lambda context: _stream(context, "dynamodb")),
    ("sqs", _filtered),
    ("kinesis", _with_destination),
    ("self_managed_kafka", _self_managed_kafka),
    ("sqs", _encrypted),
    ("kafka", _managed_kafka),
    ("sqs", _disabled),
    ("mq", _broker),
    ("kinesis", _failing),
    ("docdb", _documents),
    ("sqs", _foreign_queue),
    ("dynamodb", _disabled_by_lambda),
    ("sqs", _broken_filters),
    ("sqs", _future),
)


def _mappings_of(fleet: Fleet, scope: Scope, index: int) -> list[_Mapping]:
    """Return the mappings of the function with this index, a deleted one too."""
    shift = SeededChoices("mappings", fleet.spec.seed, scope.account_id, scope.region).pick(_EVERY * len(_VARIANTS))
    turn, rest = divmod(index + shift, _EVERY)
    if rest:
        return []
    choices = fleet.choices(NAME, scope, index)
    names = [alias.name for alias in fleet.aliases(scope, index)] if fleet.exists(scope, index) else []
    qualifier = choices.choose(names) if names and choices.chance(60) else None
    context = _Context(known_regions.partition(scope.region), scope, choices)
    mapping = _mapping(fleet, context, turn, fleet.name(index), qualifier)
    if choices.chance(80):
        return [mapping]
    return [mapping, _mapping(fleet, context, turn + 1, fleet.name(index), qualifier)]


def _mapping(fleet: Fleet, context: _Context, turn: int, name: str, qualifier: str | None) -> _Mapping:
    source, make = _VARIANTS[turn % len(_VARIANTS)]
    scope, choices = context.scope, context.choices
    uuid = uuid_text("mapping", fleet.spec.seed, scope.account_id, scope.region, name, turn)
    at = _SINCE + timedelta(seconds=choices.pick(50_000_000), milliseconds=choices.pick(1_000))
    leaves = {"State": "Enabled", "StateTransitionReason": "USER_INITIATED", "LastModified": at} | make(context)
    return _Mapping(uuid=uuid, function_name=name, qualifier=qualifier, source=source, leaves=leaves)


def _ghosts(fleet: Fleet, scope: Scope) -> list[_Mapping]:
    """Return the mapping of a function that was deleted before the fleet began."""
    choices = SeededChoices("ghost", fleet.spec.seed, scope.account_id, scope.region)
    context = _Context(known_regions.partition(scope.region), scope, choices)
    return [_mapping(fleet, context, 0, GHOST, None)] if fleet.size(scope) else []


# --- answers ----------------------------------------------------------------------------------------------------------


def _list(fleet: Fleet, scope: Scope, call: ApiCall) -> dict[str, Any]:
    start = start_of(call, f"{call.operation}/{call.query.get('FunctionName')}/{call.query.get('EventSourceArn')}")

    def items() -> Iterator[tuple[dict[str, Any], Position]]:
        for index in range(start.index, fleet.size(scope) + 1):
            found = _mappings_of(fleet, scope, index) if index < fleet.size(scope) else _ghosts(fleet, scope)
            for position, mapping in enumerate(found):
                if (index > start.index or position > start.after) and _is_asked_for(mapping, call.query):
                    yield _document(scope, mapping), replace(start, index=index, after=position, nonce="")

    page, following = page_of(items(), start, max_items(call, page_size=PAGE_SIZE))
    return with_marker({"EventSourceMappings": page}, following)


def _is_asked_for(mapping: _Mapping, query: Mapping[str, str]) -> bool:
    name, arn = query.get("FunctionName"), query.get("EventSourceArn")
    return name in (None, mapping.function_name) and arn in (None, mapping.leaves.get("EventSourceArn"))


def _document(scope: Scope, mapping: _Mapping) -> dict[str, Any]:
    arn = function_arn(scope, mapping.function_name, mapping.qualifier)
    own = arn.partition(":function:")[0] + f":event-source-mapping:{mapping.uuid}"
    return nested({"UUID": mapping.uuid, "EventSourceMappingArn": own, "FunctionArn": arn, **mapping.leaves})


ANSWERS = {"ListEventSourceMappings": _list}


# --- the oracle -------------------------------------------------------------------------------------------------------

_MSK, _KAFKA = "AmazonManagedKafkaEventSourceConfig.", "SelfManagedKafkaEventSourceConfig."
_AS_SENT = {
    "EventSourceArn": "event_source_arn",
    "State": "state",
    "StateTransitionReason": "state_transition_reason",
    "LastProcessingResult": "last_processing_result",
    "BatchSize": "batch_size",
    "MaximumBatchingWindowInSeconds": "maximum_batching_window_in_seconds",
    "MaximumRetryAttempts": "maximum_retry_attempts",
    "MaximumRecordAgeInSeconds": "maximum_record_age_in_seconds",
    "BisectBatchOnFunctionError": "bisect_batch_on_function_error",
    "ParallelizationFactor": "parallelization_factor",
    "TumblingWindowInSeconds": "tumbling_window_in_seconds",
    "StartingPosition": "starting_position",
    "StartingPositionTimestamp": "starting_position_timestamp_at",
    "DestinationConfig.OnFailure.Destination": "on_failure_destination",
    "DestinationConfig.OnSuccess.Destination": "on_success_destination",
    "FilterCriteriaError.ErrorCode": "filter_criteria_error_code",
    "FilterCriteriaError.Message": "filter_criteria_error_message",
    "KMSKeyArn": "kms_key_arn",
    "ScalingConfig.MaximumConcurrency": "scaling_config_maximum_concurrency",
    "ProvisionedPollerConfig.MinimumPollers": "provisioned_poller_config_minimum_pollers",
    "ProvisionedPollerConfig.MaximumPollers": "provisioned_poller_config_maximum_pollers",
    "ProvisionedPollerConfig.PollerGroupName": "provisioned_poller_config_poller_group_name",
    "LoggingConfig.SystemLogLevel": "logging_config_system_log_level",
    _MSK + "ConsumerGroupId": "amazon_managed_kafka_consumer_group_id",
    _MSK + "SchemaRegistryConfig.SchemaRegistryURI": "amazon_managed_kafka_schema_registry_uri",
    _MSK + "SchemaRegistryConfig.EventRecordFormat": "amazon_managed_kafka_event_record_format",
    _KAFKA + "ConsumerGroupId": "self_managed_kafka_consumer_group_id",
    _KAFKA + "SchemaRegistryConfig.SchemaRegistryURI": "self_managed_kafka_schema_registry_uri",
    _KAFKA + "SchemaRegistryConfig.EventRecordFormat": "self_managed_kafka_event_record_format",
    "DocumentDBEventSourceConfig.DatabaseName": "document_db_database_name",
    "DocumentDBEventSourceConfig.CollectionName": "document_db_collection_name",
    "DocumentDBEventSourceConfig.FullDocument": "document_db_full_document",
    "LastModified": "last_modified_at",
}
_AS_JSON = {
    "FunctionResponseTypes": "function_response_types",
    "FilterCriteria": "filter_criteria",
    "MetricsConfig.Metrics": "metrics_config_metrics",
    "Topics": "topics",
    "Queues": "queues",
    "SourceAccessConfigurations": "source_access_configurations",
    "SelfManagedEventSource.Endpoints": "self_managed_event_source_endpoints",
    _MSK + "SchemaRegistryConfig.AccessConfigs": "amazon_managed_kafka_access_configs",
    _MSK + "SchemaRegistryConfig.SchemaValidationConfigs": "amazon_managed_kafka_schema_validation_configs",
    _KAFKA + "SchemaRegistryConfig.AccessConfigs": "self_managed_kafka_access_configs",
    _KAFKA + "SchemaRegistryConfig.SchemaValidationConfigs": "self_managed_kafka_schema_validation_configs",
}


def rows(fleet: Fleet, scope: Scope) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the row of each mapping."""
    for index in range(fleet.size(scope)):
        for mapping in _mappings_of(fleet, scope, index):
            yield "event_source_mappings", _row(scope, mapping)
    for mapping in _ghosts(fleet, scope):
        yield "event_source_mappings", _row(scope, mapping)


def _row(scope: Scope, mapping: _Mapping) -> dict[str, Any]:
    leaves, partition = mapping.leaves, known_regions.partition(scope.region)
    future = {"FutureField": leaves["FutureField"]} if "FutureField" in leaves else None
    return {
        "account_id": scope.account_id,
        "region": scope.region,
        "uuid": mapping.uuid,
        "event_source_mapping_arn": (
            f"arn:{partition}:lambda:{scope.region}:{scope.account_id}:event-source-mapping:{mapping.uuid}"
        ),
        "function_name": mapping.function_name,
        "qualifier": mapping.qualifier or LATEST,
        "event_source_type": mapping.source,
        **{column: leaves.get(path) for path, column in _AS_SENT.items()},
        **{column: _compact(leaves.get(path)) for path, column in _AS_JSON.items()},
        "extra_json": _compact(future),
        "carried_forward": False,
    }


def _compact(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
