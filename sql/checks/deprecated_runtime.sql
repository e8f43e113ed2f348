-- title: Uses a deprecated runtime
-- severity: high
-- remediation: Move to the successor: AWS no longer patches this runtime.
-- grain: one row per version in use: `$LATEST`, and versions that an alias sends traffic to; images and customer-managed runtimes are not judged
-- reference: Security Hub Lambda.2, Prowler awslambda_function_using_supported_runtimes, Steampipe lambda_function_use_latest_runtime
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column runtime: runtime identifier
-- column deprecation_date: day on which support ends
-- column successor: newest runtime of the language
WITH routed AS (
  SELECT DISTINCT account_id, region, function_name, version
  FROM alias_routes
  WHERE weight > 0
)
SELECT f.account_id, f.region, f.function_name, f.version, f.runtime, l.deprecation_date, l.successor
FROM functions AS f
JOIN lambda_runtimes AS l
  ON l.runtime = f.runtime
LEFT JOIN routed AS r
  ON r.account_id = f.account_id
  AND r.region = f.region
  AND r.function_name = f.function_name
  AND r.version = f.version
WHERE (f.version = '$LATEST' OR r.version IS NOT NULL)
  AND f.runtime_config_runtime_arn IS NULL
  AND l.deprecation_date <= CAST(f.snapshot_at AS DATE)
