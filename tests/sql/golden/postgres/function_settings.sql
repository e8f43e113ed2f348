WITH "variables" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name",
    "version"
  FROM "lexport"."env_vars"
)
SELECT
  "f"."account_id",
  "f"."region",
  "f"."function_name",
  "f"."function_arn",
  "f"."runtime",
  CASE WHEN "f"."tracing_config_mode" = 'Active' THEN TRUE ELSE FALSE END AS "is_traced",
  CASE WHEN "f"."dead_letter_config_target_arn" <> '' THEN TRUE ELSE FALSE END AS "has_dead_letter_target",
  CASE
    WHEN NOT "v"."version" IS NULL OR NOT "f"."environment_error_code" IS NULL
    THEN TRUE
    ELSE FALSE
  END AS "has_variables",
  CASE WHEN "f"."kms_key_arn" <> '' THEN TRUE ELSE FALSE END AS "has_environment_key",
  CASE WHEN "f"."code_source_kms_key_arn" <> '' THEN TRUE ELSE FALSE END AS "has_code_key",
  CASE WHEN "f"."signing_job_arn" <> '' THEN TRUE ELSE FALSE END AS "is_signed",
  "f"."logging_config_log_format" AS "log_format",
  "f"."logging_config_log_group" AS "log_group",
  CASE
    WHEN "f"."logging_config_log_group" = '/aws/lambda/' || "f"."function_name"
    THEN TRUE
    WHEN NOT "f"."logging_config_log_group" IS NULL
    THEN FALSE
  END AS "has_default_log_group",
  "f"."role",
  "f"."last_modified_at"
FROM "lexport"."functions" AS "f"
LEFT JOIN "variables" AS "v"
  ON "v"."account_id" = "f"."account_id"
  AND "v"."region" = "f"."region"
  AND "v"."function_name" = "f"."function_name"
  AND "v"."version" = "f"."version"
WHERE
  "f"."version" = '$LATEST'
ORDER BY
  "f"."account_id",
  "f"."region",
  "f"."function_name"
