-- title: Runtime is unknown to lexport
-- severity: low
-- remediation: Update lexport. It has no dates for this runtime, so other checks do not judge it.
-- grain: one row per version in use: `$LATEST`, and versions that an alias sends traffic to; images and customer-managed runtimes are not judged
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column runtime: runtime identifier
WITH routed AS (
  SELECT DISTINCT account_id, region, function_name, version
  FROM alias_routes
  WHERE weight > 0
)
SELECT f.account_id, f.region, f.function_name, f.version, f.runtime
FROM functions AS f
LEFT JOIN lambda_runtimes AS l
  ON l.runtime = f.runtime
LEFT JOIN routed AS r
  ON r.account_id = f.account_id
  AND r.region = f.region
  AND r.function_name = f.function_name
  AND r.version = f.version
WHERE (f.version = '$LATEST' OR r.version IS NOT NULL)
  AND f.runtime_config_runtime_arn IS NULL
  AND f.runtime IS NOT NULL
  AND l.runtime IS NULL
