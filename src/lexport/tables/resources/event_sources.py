"""Event source mappings, from ListEventSourceMappings: one chain of pages for an account-region."""

from __future__ import annotations

from typing import Any

from lexport.tables.arn import other_function
from lexport.tables.call import Call, Page
from lexport.tables.convert import INSTANT_OR_EPOCH, JSON, JSON_ARRAY, NAME_OF_ARN, QUALIFIER_OF_ARN
from lexport.tables.resource import Resource, Row
from lexport.tables.table import (
    BOOL,
    CARRIED_FORWARD,
    COMMON,
    EXTRA_JSON,
    FETCHED_AT,
    INT32,
    SCOPE_KEY,
    TEXT,
    TIMESTAMP,
    Column,
    Table,
    Type,
    key,
    sent,
)

_TYPE_OF_SERVICE = {
    "sqs": "sqs",
    "kinesis": "kinesis",
    "dynamodb": "dynamodb",
    "kafka": "kafka",
    "mq": "mq",
    "rds": "docdb",  # the ARN of a DocumentDB cluster names the service rds
    "docdb": "docdb",
    "docdb-elastic": "docdb",
}


def _item(path: str, type_: Type, meaning: str, unit: str = "", **more: Any) -> Column:
    return sent(path, type_, meaning, unit, above="EventSourceMappings[].", **more)


def _kafka(who: str, meaning: str) -> tuple[Column, ...]:
    """Declare the settings of one of the two kinds of Kafka; the names leave out ``EventSourceConfig``."""
    words, path = who.replace("Managed", "_managed").lower(), f"{who}KafkaEventSourceConfig."
    registry = path + "SchemaRegistryConfig."
    return (
        _item(path + "ConsumerGroupId", TEXT, f"{meaning}: consumer group.", name=f"{words}_kafka_consumer_group_id"),
        _item(
            registry + "SchemaRegistryURI",
            TEXT,
            f"{meaning}: schema registry.",
            name=f"{words}_kafka_schema_registry_uri",
        ),
        _item(
            registry + "EventRecordFormat",
            TEXT,
            f"{meaning}: `JSON` or `SOURCE`.",
            name=f"{words}_kafka_event_record_format",
        ),
        _item(
            registry + "AccessConfigs",
            TEXT,
            f"{meaning}: how the registry is accessed; JSON array of objects.",
            name=f"{words}_kafka_access_configs",
            convert=JSON,
        ),
        _item(
            registry + "SchemaValidationConfigs",
            TEXT,
            f"{meaning}: what is validated; JSON array of objects.",
            name=f"{words}_kafka_schema_validation_configs",
            convert=JSON,
        ),
    )


_COLUMNS = (
    *COMMON,
    key("uuid", "Identifier of the mapping.", source="EventSourceMappings[].UUID"),
    _item("EventSourceMappingArn", TEXT, "ARN of the mapping."),
    _item("FunctionArn", TEXT, "Function that is invoked.", name="function_name", convert=NAME_OF_ARN),
    _item(
        "FunctionArn",
        TEXT,
        "Alias or version that is invoked, `$LATEST` for the function itself.",
        name="qualifier",
        convert=QUALIFIER_OF_ARN,
    ),
    _item("EventSourceArn", TEXT, "ARN of the event source; NULL for self-managed Kafka."),
    Column(
        "event_source_type",
        TEXT,
        "",
        "`sqs`, `kinesis`, `dynamodb`, `kafka`, `self_managed_kafka`, `mq`, `docdb` or `other`.",
    ),
    _item("State", TEXT, "State: `Enabled`, `Disabled`, `Creating`, ..."),
    _item("StateTransitionReason", TEXT, "Who or what changed it last."),
    _item("LastProcessingResult", TEXT, "Result of the last invocation; not sent for queues."),
    _item("BatchSize", INT32, "Most records in a batch."),
    _item("MaximumBatchingWindowInSeconds", INT32, "Longest wait for a batch.", "seconds"),
    _item("MaximumRetryAttempts", INT32, "Retries of a failed batch; -1 is infinite, the default of streams."),
    _item("MaximumRecordAgeInSeconds", INT32, "Oldest record that is sent; -1 is infinite.", "seconds"),
    _item("BisectBatchOnFunctionError", BOOL, "Whether a failed batch is split in two."),
    _item("ParallelizationFactor", INT32, "Batches of one shard at once."),
    _item("TumblingWindowInSeconds", INT32, "Length of the window for aggregation.", "seconds"),
    _item("StartingPosition", TEXT, "Where reading of a stream began."),
    _item(
        "StartingPositionTimestamp",
        TIMESTAMP,
        "Instant of the starting position `AT_TIMESTAMP`.",
        name="starting_position_timestamp_at",
        convert=INSTANT_OR_EPOCH,
    ),
    _item(
        "FunctionResponseTypes",
        TEXT,
        "JSON array; `ReportBatchItemFailures` for partial failures.",
        convert=JSON_ARRAY,
    ),
    _item(
        "DestinationConfig.OnFailure.Destination",
        TEXT,
        "Where failed batches go.",
        name="on_failure_destination",
    ),
    _item(
        "DestinationConfig.OnSuccess.Destination",
        TEXT,
        "Where results go.",
        name="on_success_destination",
    ),
    _item(
        "FilterCriteria",
        TEXT,
        "Filters, as JSON. Lists do not show filters that a customer key encrypts: NULL with a `kms_key_arn` does "
        "not mean that there is no filter.",
        convert=JSON,
    ),
    _item("FilterCriteriaError.ErrorCode", TEXT, "Code of the error of the filters."),
    _item("FilterCriteriaError.Message", TEXT, "Message of that error."),
    _item("KMSKeyArn", TEXT, "Customer key of the filters."),
    _item("ScalingConfig.MaximumConcurrency", INT32, "Most concurrent invocations of a queue's mapping."),
    _item("ProvisionedPollerConfig.MinimumPollers", INT32, "Least provisioned pollers."),
    _item("ProvisionedPollerConfig.MaximumPollers", INT32, "Most provisioned pollers."),
    _item("ProvisionedPollerConfig.PollerGroupName", TEXT, "Group that shares pollers."),
    _item("MetricsConfig.Metrics", TEXT, "JSON array of the metrics that are on.", convert=JSON_ARRAY),
    _item("LoggingConfig.SystemLogLevel", TEXT, "Level of the mapping's own logs."),
    _item("Topics", TEXT, "JSON array of the Kafka topics.", convert=JSON_ARRAY),
    _item("Queues", TEXT, "JSON array of the queues of the broker.", convert=JSON_ARRAY),
    _item(
        "SourceAccessConfigurations",
        TEXT,
        "JSON array of objects: how the source is accessed, with the ARNs of secrets.",
        convert=JSON,
    ),
    _item(
        "SelfManagedEventSource.Endpoints",
        TEXT,
        "JSON object: the bootstrap servers of self-managed Kafka.",
        convert=JSON,
    ),
    *_kafka("AmazonManaged", "Amazon MSK"),
    *_kafka("SelfManaged", "Self-managed Kafka"),
    _item(
        "DocumentDBEventSourceConfig.DatabaseName",
        TEXT,
        "Database of DocumentDB.",
        name="document_db_database_name",
    ),
    _item(
        "DocumentDBEventSourceConfig.CollectionName",
        TEXT,
        "Collection of DocumentDB; NULL for all.",
        name="document_db_collection_name",
    ),
    _item(
        "DocumentDBEventSourceConfig.FullDocument",
        TEXT,
        "`Default` or `UpdateLookup`.",
        name="document_db_full_document",
    ),
    _item(
        "LastModified",
        TIMESTAMP,
        "Last change of settings or state, UTC.",
        name="last_modified_at",
        convert=INSTANT_OR_EPOCH,
    ),
    EXTRA_JSON,
    FETCHED_AT,
    CARRIED_FORWARD,
)

_MOVING = frozenset({"last_processing_result", "state_transition_reason", "last_modified_at"})
"""Columns that tell of the work of a mapping, not of its settings."""

EVENT_SOURCE_MAPPINGS = Table(
    "event_source_mappings",
    "One row per event source mapping; its function may not exist any more.",
    _COLUMNS,
    (*SCOPE_KEY, "uuid"),
    answer_key=3,
    compared=tuple(column.name for column in _COLUMNS if column.name not in _MOVING),
    title="event source mapping {}",
)


def _name_type(row: Row, _children: dict[str, list[Row]]) -> None:
    """Name the kind of the event source; self-managed Kafka is the one without an ARN."""
    arn = row["event_source_arn"]
    if arn is None:
        row["event_source_type"] = "self_managed_kafka" if row["self_managed_event_source_endpoints"] else "other"
        return
    service = arn.split(":")[2] if arn.startswith("arn:") and arn.count(":") > 1 else ""
    row["event_source_type"] = _TYPE_OF_SERVICE.get(service, "other")


RESOURCES = (
    Resource(
        name="event-sources",
        per="account_region",
        call=Call(
            operation="ListEventSourceMappings",
            path="/2015-03-31/event-source-mappings",
            iam=("lambda:ListEventSourceMappings",),
            iam_resource="*",
            page=Page(items="EventSourceMappings", size=100),
        ),
        tables=(EVENT_SOURCE_MAPPINGS,),
        mismatch=other_function,
        complete=_name_type,
    ),
)
