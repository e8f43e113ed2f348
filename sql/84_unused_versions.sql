-- question: Which published versions were not called, by their number or through an alias, and which of them could be deleted?
-- grain: one row per published version without a call within the days that were read, or whose use is not known
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: number of the version
-- column function_arn: ARN of the function
-- column verdict: `unused` (no call within 30 days or more) or `unknown`
-- column why_unknown: `not_read`, `failed`, `not_listed` (what ran for aliases lately could not be listed), `aliases_not_read` (or not all of the account-region), `not_attributed` (an alias of the function was called, and which version ran is not known), `published` (within the days) or `short_window` (fewer than 30 days were read)
-- column known_since: first day that was read; what was before it is unknown; NULL if nothing was read
-- column known_until: last day that was read
-- column last_modified_at: when it was published
-- column aliases: aliases that lead to it now
-- column is_prunable: whether it is `unused` and in the view prunable_versions
-- column bytes_freed: bytes that deleting it frees, as prunable_versions counts them; 0 where it is not prunable
WITH routed AS (
  SELECT account_id, region, function_name, version, COUNT(*) AS aliases
  FROM alias_routes
  GROUP BY account_id, region, function_name, version
), judged AS (
  SELECT
    f.account_id,
    f.region,
    f.function_name,
    f.version,
    f.function_arn,
    CASE
      WHEN r.reason IS NOT NULL THEN r.reason
      WHEN f.last_modified_at IS NULL OR CAST(f.last_modified_at AS DATE) >= w.first_day THEN 'published'
      WHEN CAST(w.last_day - w.first_day AS INTEGER) + 1 < 30 THEN 'short_window'
    END AS why_unknown,
    w.first_day,
    w.last_day,
    f.last_modified_at,
    a.aliases,
    p.bytes_freed
  FROM functions AS f
  LEFT JOIN usage_windows AS w
    ON w.account_id = f.account_id
    AND w.region = f.region
  LEFT JOIN usage_unread AS r
    ON r.account_id = f.account_id
    AND r.region = f.region
    AND r.function_name = f.function_name
  LEFT JOIN version_use AS u
    ON u.account_id = f.account_id
    AND u.region = f.region
    AND u.function_name = f.function_name
    AND u.version = f.version
  LEFT JOIN routed AS a
    ON a.account_id = f.account_id
    AND a.region = f.region
    AND a.function_name = f.function_name
    AND a.version = f.version
  LEFT JOIN prunable_versions AS p
    ON p.account_id = f.account_id
    AND p.region = f.region
    AND p.function_name = f.function_name
    AND p.version = f.version
  WHERE f.version <> '$LATEST'
    AND u.version IS NULL
)
SELECT
  account_id,
  region,
  function_name,
  version,
  function_arn,
  CASE WHEN why_unknown IS NULL THEN 'unused' ELSE 'unknown' END AS verdict,
  why_unknown,
  first_day AS known_since,
  last_day AS known_until,
  last_modified_at,
  COALESCE(aliases, 0) AS aliases,
  CASE WHEN why_unknown IS NULL AND j.bytes_freed IS NOT NULL THEN TRUE ELSE FALSE END AS is_prunable,
  CASE WHEN why_unknown IS NULL THEN COALESCE(j.bytes_freed, 0) ELSE 0 END AS bytes_freed
FROM judged AS j
ORDER BY account_id, region, function_name, LENGTH(version), version
