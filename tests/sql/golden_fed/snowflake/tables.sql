CREATE SCHEMA IF NOT EXISTS "LEXPORT_TABLES";

CREATE SCHEMA IF NOT EXISTS "LEXPORT_HISTORY";

CREATE SCHEMA IF NOT EXISTS "LEXPORT_SNAPSHOT";

CREATE SCHEMA IF NOT EXISTS "LEXPORT";

CREATE TABLE IF NOT EXISTS "LEXPORT_TABLES"."TAGS" (
  "ACCOUNT_ID" VARCHAR NOT NULL COMMENT '12-digit account that owns the row.',
  "REGION" VARCHAR NOT NULL COMMENT 'AWS Region.',
  "FUNCTION_NAME" VARCHAR COMMENT 'Name of the function, never an ARN.',
  "KEY" VARCHAR COMMENT 'Tag key.',
  "VALUE" VARCHAR COMMENT 'Tag value.',
  UNIQUE ("ACCOUNT_ID", "REGION", "FUNCTION_NAME", "KEY")
)
COMMENT = 'One row per tag of a function. Key: account_id, region, function_name, key; NULL is a value.';

CREATE TABLE IF NOT EXISTS "LEXPORT_TABLES"."EVENT_SOURCE_MAPPINGS" (
  "ACCOUNT_ID" VARCHAR NOT NULL COMMENT '12-digit account that owns the row.',
  "REGION" VARCHAR NOT NULL COMMENT 'AWS Region.',
  "UUID" VARCHAR COMMENT 'Identifier of the mapping.',
  "EVENT_SOURCE_MAPPING_ARN" VARCHAR COMMENT 'ARN of the mapping.',
  "FUNCTION_NAME" VARCHAR COMMENT 'Function that is invoked.',
  "QUALIFIER" VARCHAR COMMENT 'Alias or version that is invoked, `$LATEST` for the function itself.',
  "EVENT_SOURCE_ARN" VARCHAR COMMENT 'ARN of the event source; NULL for self-managed Kafka.',
  "EVENT_SOURCE_TYPE" VARCHAR COMMENT '`sqs`, `kinesis`, `dynamodb`, `kafka`, `self_managed_kafka`, `mq`, `docdb` or `other`.',
  "STATE" VARCHAR COMMENT 'State: `Enabled`, `Disabled`, `Creating`, ...',
  "STATE_TRANSITION_REASON" VARCHAR COMMENT 'Who or what changed it last.',
  "LAST_PROCESSING_RESULT" VARCHAR COMMENT 'Result of the last invocation; not sent for queues.',
  "BATCH_SIZE" INTEGER COMMENT 'Most records in a batch.',
  "MAXIMUM_BATCHING_WINDOW_IN_SECONDS" INTEGER COMMENT 'Longest wait for a batch.',
  "MAXIMUM_RETRY_ATTEMPTS" INTEGER COMMENT 'Retries of a failed batch; -1 is infinite, the default of streams.',
  "MAXIMUM_RECORD_AGE_IN_SECONDS" INTEGER COMMENT 'Oldest record that is sent; -1 is infinite.',
  "BISECT_BATCH_ON_FUNCTION_ERROR" BOOLEAN COMMENT 'Whether a failed batch is split in two.',
  "PARALLELIZATION_FACTOR" INTEGER COMMENT 'Batches of one shard at once.',
  "TUMBLING_WINDOW_IN_SECONDS" INTEGER COMMENT 'Length of the window for aggregation.',
  "STARTING_POSITION" VARCHAR COMMENT 'Where reading of a stream began.',
  "STARTING_POSITION_TIMESTAMP_AT" TIMESTAMP_NTZ COMMENT 'Instant of the starting position `AT_TIMESTAMP`.',
  "FUNCTION_RESPONSE_TYPES" VARCHAR COMMENT 'JSON array; `ReportBatchItemFailures` for partial failures.',
  "ON_FAILURE_DESTINATION" VARCHAR COMMENT 'Where failed batches go.',
  "ON_SUCCESS_DESTINATION" VARCHAR COMMENT 'Where results go.',
  "FILTER_CRITERIA" VARCHAR COMMENT 'Filters, as JSON. Lists do not show filters that a customer key encrypts: NULL with a `kms_key_arn` does not mean that there is no filter.',
  "FILTER_CRITERIA_ERROR_CODE" VARCHAR COMMENT 'Code of the error of the filters.',
  "FILTER_CRITERIA_ERROR_MESSAGE" VARCHAR COMMENT 'Message of that error.',
  "KMS_KEY_ARN" VARCHAR COMMENT 'Customer key of the filters.',
  "SCALING_CONFIG_MAXIMUM_CONCURRENCY" INTEGER COMMENT 'Most concurrent invocations of a queue''s mapping.',
  "PROVISIONED_POLLER_CONFIG_MINIMUM_POLLERS" INTEGER COMMENT 'Least provisioned pollers.',
  "PROVISIONED_POLLER_CONFIG_MAXIMUM_POLLERS" INTEGER COMMENT 'Most provisioned pollers.',
  "PROVISIONED_POLLER_CONFIG_POLLER_GROUP_NAME" VARCHAR COMMENT 'Group that shares pollers.',
  "METRICS_CONFIG_METRICS" VARCHAR COMMENT 'JSON array of the metrics that are on.',
  "LOGGING_CONFIG_SYSTEM_LOG_LEVEL" VARCHAR COMMENT 'Level of the mapping''s own logs.',
  "TOPICS" VARCHAR COMMENT 'JSON array of the Kafka topics.',
  "QUEUES" VARCHAR COMMENT 'JSON array of the queues of the broker.',
  "SOURCE_ACCESS_CONFIGURATIONS" VARCHAR COMMENT 'JSON array of objects: how the source is accessed, with the ARNs of secrets.',
  "SELF_MANAGED_EVENT_SOURCE_ENDPOINTS" VARCHAR COMMENT 'JSON object: the bootstrap servers of self-managed Kafka.',
  "AMAZON_MANAGED_KAFKA_CONSUMER_GROUP_ID" VARCHAR COMMENT 'Amazon MSK: consumer group.',
  "AMAZON_MANAGED_KAFKA_SCHEMA_REGISTRY_URI" VARCHAR COMMENT 'Amazon MSK: schema registry.',
  "AMAZON_MANAGED_KAFKA_EVENT_RECORD_FORMAT" VARCHAR COMMENT 'Amazon MSK: `JSON` or `SOURCE`.',
  "AMAZON_MANAGED_KAFKA_ACCESS_CONFIGS" VARCHAR COMMENT 'Amazon MSK: how the registry is accessed; JSON array of objects.',
  "AMAZON_MANAGED_KAFKA_SCHEMA_VALIDATION_CONFIGS" VARCHAR COMMENT 'Amazon MSK: what is validated; JSON array of objects.',
  "SELF_MANAGED_KAFKA_CONSUMER_GROUP_ID" VARCHAR COMMENT 'Self-managed Kafka: consumer group.',
  "SELF_MANAGED_KAFKA_SCHEMA_REGISTRY_URI" VARCHAR COMMENT 'Self-managed Kafka: schema registry.',
  "SELF_MANAGED_KAFKA_EVENT_RECORD_FORMAT" VARCHAR COMMENT 'Self-managed Kafka: `JSON` or `SOURCE`.',
  "SELF_MANAGED_KAFKA_ACCESS_CONFIGS" VARCHAR COMMENT 'Self-managed Kafka: how the registry is accessed; JSON array of objects.',
  "SELF_MANAGED_KAFKA_SCHEMA_VALIDATION_CONFIGS" VARCHAR COMMENT 'Self-managed Kafka: what is validated; JSON array of objects.',
  "DOCUMENT_DB_DATABASE_NAME" VARCHAR COMMENT 'Database of DocumentDB.',
  "DOCUMENT_DB_COLLECTION_NAME" VARCHAR COMMENT 'Collection of DocumentDB; NULL for all.',
  "DOCUMENT_DB_FULL_DOCUMENT" VARCHAR COMMENT '`Default` or `UpdateLookup`.',
  "LAST_MODIFIED_AT" TIMESTAMP_NTZ COMMENT 'Last change of settings or state, UTC.',
  "EXTRA_JSON" VARCHAR COMMENT 'JSON object, path -> value: fields unknown to this table and raw values of wrong types.',
  "FETCHED_AT" TIMESTAMP_NTZ COMMENT '`snapshot_at` of the snapshot that really read this row.',
  "CARRIED_FORWARD" BOOLEAN COMMENT 'Whether the row was taken over from an earlier snapshot.',
  UNIQUE ("ACCOUNT_ID", "REGION", "UUID")
)
COMMENT = 'One row per event source mapping; its function may not exist any more. Key: account_id, region, uuid; NULL is a value.';

CREATE TABLE IF NOT EXISTS "LEXPORT_TABLES"."ERRORS" (
  "SNAPSHOT_ID" VARCHAR NOT NULL COMMENT 'ULID of the snapshot; greater is newer.',
  "SNAPSHOT_AT" TIMESTAMP_NTZ COMMENT 'Start of the run, UTC.',
  "ACCOUNT_ID" VARCHAR COMMENT '12-digit account that owns the row.',
  "REGION" VARCHAR COMMENT 'AWS Region.',
  "STAGE" VARCHAR COMMENT 'Step that met it: discover, fetch, flatten, packages, inspect, changes.',
  "OPERATION" VARCHAR COMMENT 'AWS operation.',
  "FUNCTION_NAME" VARCHAR COMMENT 'Function, where it concerns one.',
  "QUALIFIER" VARCHAR COMMENT 'Version or alias, where it concerns one.',
  "ERROR_CODE" VARCHAR COMMENT 'AWS''s code, or ours: gone, wrong_type, ...',
  "HTTP_STATUS" INTEGER COMMENT 'HTTP status, where there was an answer.',
  "MESSAGE" VARCHAR COMMENT 'What came back, secrets removed.',
  "IS_GAP" BOOLEAN COMMENT 'Whether something is missing from the snapshot.',
  "ATTEMPTS" INTEGER COMMENT 'Calls made in vain.',
  "OCCURRED_AT" TIMESTAMP_NTZ COMMENT 'When, UTC.',
  UNIQUE ("SNAPSHOT_ID", "ACCOUNT_ID", "REGION", "FUNCTION_NAME", "QUALIFIER", "STAGE", "ERROR_CODE", "MESSAGE", "OCCURRED_AT")
)
COMMENT = 'One row per thing that could not be read as it should; `is_gap` says whether something is missing. Key: snapshot_id, account_id, region, function_name, qualifier, stage, error_code, message, occurred_at; NULL is a value.';

CREATE TABLE IF NOT EXISTS "LEXPORT_TABLES"."PACKAGE_FILES" (
  "SNAPSHOT_ID" VARCHAR NOT NULL COMMENT 'ULID of the snapshot; greater is newer.',
  "SNAPSHOT_AT" TIMESTAMP_NTZ COMMENT 'Start of the run, UTC.',
  "ACCOUNT_ID" VARCHAR COMMENT '12-digit account that owns the row.',
  "REGION" VARCHAR COMMENT 'AWS Region.',
  "SHA256_HEX" VARCHAR COMMENT 'SHA-256 of the package or layer, hex.',
  "PATH" VARCHAR COMMENT 'Name of the file in the archive.',
  "SIZE_BYTES" BIGINT COMMENT 'Size unpacked, as the archive says.',
  "COMPRESSED_BYTES" BIGINT COMMENT 'Size in the archive.',
  "CRC32" BIGINT COMMENT 'CRC-32 of the file, as the archive says.',
  UNIQUE ("SHA256_HEX", "PATH")
)
COMMENT = 'One row per file in the directory of a stored package; account and region are NULL. Key: sha256_hex, path; NULL is a value.';

CREATE TABLE IF NOT EXISTS "LEXPORT_TABLES"."LEXPORT_LOADS" (
  "LOAD_ID" VARCHAR NOT NULL COMMENT 'ULID of the feed.',
  "SINCE" VARCHAR COMMENT 'Commit up to which the warehouse was loaded before; NULL for a first load.',
  "NEXT_SINCE" VARCHAR NOT NULL COMMENT 'Commit up to which it is loaded since; that of the newest row is the cursor.',
  "WRITE_MODE" VARCHAR COMMENT '`hard-delete`, `soft-delete` or `scd2`; the same in all rows.',
  "SCHEMA_VERSION" VARCHAR COMMENT 'Version of the tables.',
  "LEXPORT_VERSION" VARCHAR COMMENT 'Version of lexport that wrote the feed.',
  "LOADED_AT" TIMESTAMP_NTZ NOT NULL COMMENT 'When it was loaded, UTC.',
  "UPSERTS" BIGINT COMMENT 'Rows to upsert.',
  "DELETES" BIGINT COMMENT 'Keys of rows to delete.',
  UNIQUE ("LOAD_ID")
)
COMMENT = 'One row per feed that was loaded. Key: load_id; NULL is a value.';

CREATE OR REPLACE VIEW "LEXPORT_HISTORY"."ERRORS"
COMMENT = 'One row per thing that could not be read as it should; `is_gap` says whether something is missing.' AS
SELECT
  "SNAPSHOT_ID",
  "SNAPSHOT_AT",
  "ACCOUNT_ID",
  "REGION",
  "STAGE",
  "OPERATION",
  "FUNCTION_NAME",
  "QUALIFIER",
  "ERROR_CODE",
  "HTTP_STATUS",
  "MESSAGE",
  "IS_GAP",
  "ATTEMPTS",
  "OCCURRED_AT"
FROM "LEXPORT_TABLES"."ERRORS";

CREATE OR REPLACE VIEW "LEXPORT"."NEWEST_SNAPSHOT"
COMMENT = 'What lexport_snapshot shows.' AS
SELECT DISTINCT
  "SNAPSHOT_ID",
  "SNAPSHOT_AT"
FROM "LEXPORT_HISTORY"."SCOPES"
WHERE
  "SNAPSHOT_ID" = (
    SELECT
      MAX("SNAPSHOT_ID")
    FROM "LEXPORT_HISTORY"."SCOPES"
    WHERE
      "STATUS" <> 'retired'
  );

CREATE OR REPLACE VIEW "LEXPORT"."LATEST_SCOPES"
COMMENT = 'What lexport shows.' AS
SELECT DISTINCT
  "S"."ACCOUNT_ID",
  "S"."REGION",
  "S"."SNAPSHOT_ID",
  "S"."SNAPSHOT_AT"
FROM "LEXPORT_HISTORY"."SCOPES" AS "S"
JOIN (
  SELECT
    "ACCOUNT_ID",
    "REGION",
    MAX("SNAPSHOT_ID") AS "SNAPSHOT_ID"
  FROM "LEXPORT_HISTORY"."SCOPES"
  WHERE
    "COVERAGE" = 'fleet' AND "STATUS" IN ('complete', 'retired')
  GROUP BY
    "ACCOUNT_ID",
    "REGION"
) AS "N"
  ON "N"."ACCOUNT_ID" = "S"."ACCOUNT_ID"
  AND "N"."REGION" = "S"."REGION"
  AND "N"."SNAPSHOT_ID" = "S"."SNAPSHOT_ID"
WHERE
  "S"."COVERAGE" = 'fleet' AND "S"."STATUS" = 'complete';

CREATE OR REPLACE VIEW "LEXPORT_SNAPSHOT"."ERRORS"
COMMENT = 'One row per thing that could not be read as it should; `is_gap` says whether something is missing.' AS
SELECT
  "T"."SNAPSHOT_ID",
  "T"."SNAPSHOT_AT",
  "T"."ACCOUNT_ID",
  "T"."REGION",
  "T"."STAGE",
  "T"."OPERATION",
  "T"."FUNCTION_NAME",
  "T"."QUALIFIER",
  "T"."ERROR_CODE",
  "T"."HTTP_STATUS",
  "T"."MESSAGE",
  "T"."IS_GAP",
  "T"."ATTEMPTS",
  "T"."OCCURRED_AT"
FROM "LEXPORT_HISTORY"."ERRORS" AS "T"
JOIN "LEXPORT"."NEWEST_SNAPSHOT" AS "N"
  ON "N"."SNAPSHOT_ID" = "T"."SNAPSHOT_ID";

CREATE OR REPLACE VIEW "LEXPORT"."TAGS"
COMMENT = 'One row per tag of a function.' AS
SELECT
  "L"."SNAPSHOT_ID",
  "L"."SNAPSHOT_AT",
  "T"."ACCOUNT_ID",
  "T"."REGION",
  "T"."FUNCTION_NAME",
  "T"."KEY",
  "T"."VALUE"
FROM "LEXPORT_TABLES"."TAGS" AS "T"
JOIN "LEXPORT"."LATEST_SCOPES" AS "L"
  ON "L"."ACCOUNT_ID" = "T"."ACCOUNT_ID" AND "L"."REGION" = "T"."REGION";

CREATE OR REPLACE VIEW "LEXPORT"."EVENT_SOURCE_MAPPINGS"
COMMENT = 'One row per event source mapping; its function may not exist any more.' AS
SELECT
  "L"."SNAPSHOT_ID",
  "L"."SNAPSHOT_AT",
  "T"."ACCOUNT_ID",
  "T"."REGION",
  "T"."UUID",
  "T"."EVENT_SOURCE_MAPPING_ARN",
  "T"."FUNCTION_NAME",
  "T"."QUALIFIER",
  "T"."EVENT_SOURCE_ARN",
  "T"."EVENT_SOURCE_TYPE",
  "T"."STATE",
  "T"."STATE_TRANSITION_REASON",
  "T"."LAST_PROCESSING_RESULT",
  "T"."BATCH_SIZE",
  "T"."MAXIMUM_BATCHING_WINDOW_IN_SECONDS",
  "T"."MAXIMUM_RETRY_ATTEMPTS",
  "T"."MAXIMUM_RECORD_AGE_IN_SECONDS",
  "T"."BISECT_BATCH_ON_FUNCTION_ERROR",
  "T"."PARALLELIZATION_FACTOR",
  "T"."TUMBLING_WINDOW_IN_SECONDS",
  "T"."STARTING_POSITION",
  "T"."STARTING_POSITION_TIMESTAMP_AT",
  "T"."FUNCTION_RESPONSE_TYPES",
  "T"."ON_FAILURE_DESTINATION",
  "T"."ON_SUCCESS_DESTINATION",
  "T"."FILTER_CRITERIA",
  "T"."FILTER_CRITERIA_ERROR_CODE",
  "T"."FILTER_CRITERIA_ERROR_MESSAGE",
  "T"."KMS_KEY_ARN",
  "T"."SCALING_CONFIG_MAXIMUM_CONCURRENCY",
  "T"."PROVISIONED_POLLER_CONFIG_MINIMUM_POLLERS",
  "T"."PROVISIONED_POLLER_CONFIG_MAXIMUM_POLLERS",
  "T"."PROVISIONED_POLLER_CONFIG_POLLER_GROUP_NAME",
  "T"."METRICS_CONFIG_METRICS",
  "T"."LOGGING_CONFIG_SYSTEM_LOG_LEVEL",
  "T"."TOPICS",
  "T"."QUEUES",
  "T"."SOURCE_ACCESS_CONFIGURATIONS",
  "T"."SELF_MANAGED_EVENT_SOURCE_ENDPOINTS",
  "T"."AMAZON_MANAGED_KAFKA_CONSUMER_GROUP_ID",
  "T"."AMAZON_MANAGED_KAFKA_SCHEMA_REGISTRY_URI",
  "T"."AMAZON_MANAGED_KAFKA_EVENT_RECORD_FORMAT",
  "T"."AMAZON_MANAGED_KAFKA_ACCESS_CONFIGS",
  "T"."AMAZON_MANAGED_KAFKA_SCHEMA_VALIDATION_CONFIGS",
  "T"."SELF_MANAGED_KAFKA_CONSUMER_GROUP_ID",
  "T"."SELF_MANAGED_KAFKA_SCHEMA_REGISTRY_URI",
  "T"."SELF_MANAGED_KAFKA_EVENT_RECORD_FORMAT",
  "T"."SELF_MANAGED_KAFKA_ACCESS_CONFIGS",
  "T"."SELF_MANAGED_KAFKA_SCHEMA_VALIDATION_CONFIGS",
  "T"."DOCUMENT_DB_DATABASE_NAME",
  "T"."DOCUMENT_DB_COLLECTION_NAME",
  "T"."DOCUMENT_DB_FULL_DOCUMENT",
  "T"."LAST_MODIFIED_AT",
  "T"."EXTRA_JSON",
  COALESCE("T"."FETCHED_AT", "L"."SNAPSHOT_AT") AS "FETCHED_AT",
  "T"."CARRIED_FORWARD"
FROM "LEXPORT_TABLES"."EVENT_SOURCE_MAPPINGS" AS "T"
JOIN "LEXPORT"."LATEST_SCOPES" AS "L"
  ON "L"."ACCOUNT_ID" = "T"."ACCOUNT_ID" AND "L"."REGION" = "T"."REGION";

CREATE OR REPLACE VIEW "LEXPORT"."ERRORS"
COMMENT = 'One row per thing that could not be read as it should; `is_gap` says whether something is missing.' AS
SELECT
  "T"."SNAPSHOT_ID",
  "T"."SNAPSHOT_AT",
  "T"."ACCOUNT_ID",
  "T"."REGION",
  "T"."STAGE",
  "T"."OPERATION",
  "T"."FUNCTION_NAME",
  "T"."QUALIFIER",
  "T"."ERROR_CODE",
  "T"."HTTP_STATUS",
  "T"."MESSAGE",
  "T"."IS_GAP",
  "T"."ATTEMPTS",
  "T"."OCCURRED_AT"
FROM "LEXPORT_HISTORY"."ERRORS" AS "T"
JOIN "LEXPORT"."LATEST_SCOPES" AS "L"
  ON "L"."SNAPSHOT_ID" = "T"."SNAPSHOT_ID"
  AND "L"."ACCOUNT_ID" = "T"."ACCOUNT_ID"
  AND "L"."REGION" = "T"."REGION";

CREATE OR REPLACE VIEW "LEXPORT"."PACKAGE_FILES"
COMMENT = 'One row per file in the directory of a stored package; account and region are NULL.' AS
SELECT
  "T"."SNAPSHOT_ID",
  "T"."SNAPSHOT_AT",
  "T"."ACCOUNT_ID",
  "T"."REGION",
  "T"."SHA256_HEX",
  "T"."PATH",
  "T"."SIZE_BYTES",
  "T"."COMPRESSED_BYTES",
  "T"."CRC32"
FROM "LEXPORT_TABLES"."PACKAGE_FILES" AS "T"
WHERE
  "T"."SHA256_HEX" IN (
    SELECT
      "SHA256_HEX"
    FROM "LEXPORT"."PACKAGES"
  );

