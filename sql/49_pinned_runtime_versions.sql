-- question: Which function versions use another runtime version than most versions of the same runtime?
-- grain: one row per such function version: pinned, updated with the function only, or not yet updated by AWS; only where more than half of the versions of its runtime, Region and architecture, of 3 or more functions, use the same one
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column function_arn: ARN of the function
-- column runtime: runtime identifier
-- column architecture: `x86_64` or `arm64`
-- column runtime_version_arn: runtime version that it uses
-- column usual_runtime_version_arn: runtime version that most versions of this runtime, Region and architecture use, over all accounts
-- column usual_share: share of these versions, 0 to 1
-- column last_modified_at: last update of the version
-- column fetched_at: when its runtime version was read; AWS may have updated it since
WITH used AS (
  SELECT
    account_id,
    region,
    function_name,
    version,
    function_arn,
    runtime,
    architecture,
    runtime_version_config_runtime_version_arn AS runtime_version_arn,
    last_modified_at,
    fetched_at
  FROM functions
  WHERE runtime_version_config_runtime_version_arn IS NOT NULL
), counted AS (
  SELECT
    region,
    runtime,
    architecture,
    runtime_version_arn,
    COUNT(*) AS versions,
    COUNT(DISTINCT account_id || ':' || function_name) AS functions
  FROM used
  GROUP BY region, runtime, architecture, runtime_version_arn
), shares AS (
  SELECT
    region,
    runtime,
    architecture,
    runtime_version_arn,
    functions,
    CAST(versions AS DOUBLE) / NULLIF(SUM(versions) OVER (PARTITION BY region, runtime, architecture), 0) AS share
  FROM counted
)
SELECT
  f.account_id,
  f.region,
  f.function_name,
  f.version,
  f.function_arn,
  f.runtime,
  f.architecture,
  f.runtime_version_arn,
  r.runtime_version_arn AS usual_runtime_version_arn,
  r.share AS usual_share,
  f.last_modified_at,
  f.fetched_at
FROM used AS f
JOIN shares AS r
  ON r.region = f.region
  AND COALESCE(r.runtime, '') = COALESCE(f.runtime, '')
  AND COALESCE(r.architecture, '') = COALESCE(f.architecture, '')
  AND r.share > 0.5
  AND r.functions >= 3
  AND r.runtime_version_arn <> f.runtime_version_arn
ORDER BY f.account_id, f.region, f.function_name, f.version
