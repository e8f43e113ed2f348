-- question: Which tag keys are in use, and how many functions have or lack each of them?
-- grain: one row per account, region and tag key; one row without key if no function has a tag
-- column account_id: account
-- column region: Region
-- column key: tag key
-- column functions: all functions of the account and Region
-- column unreadable: functions whose tags could not be read
-- column tagged: functions that have the key
-- column untagged: functions that lack it, of those whose tags could be read
-- column share: share of the functions with readable tags that have the key, 0 to 1; NULL if there are none
WITH each_function AS (
  SELECT
    account_id,
    region,
    function_name,
    MAX(CASE WHEN tags_error_code IS NULL THEN 0 ELSE 1 END) AS is_unreadable
  FROM functions
  GROUP BY account_id, region, function_name
), fleet AS (
  SELECT
    account_id,
    region,
    COUNT(*) AS functions,
    COUNT(CASE WHEN is_unreadable = 1 THEN 1 END) AS unreadable
  FROM each_function
  GROUP BY account_id, region
), tagged AS (
  SELECT account_id, region, key, COUNT(*) AS tagged
  FROM tags
  GROUP BY account_id, region, key
)
SELECT
  f.account_id,
  f.region,
  t.key,
  f.functions,
  f.unreadable,
  COALESCE(t.tagged, 0) AS tagged,
  f.functions - f.unreadable - COALESCE(t.tagged, 0) AS untagged,
  CAST(COALESCE(t.tagged, 0) AS DOUBLE) / NULLIF(f.functions - f.unreadable, 0) AS share
FROM fleet AS f
LEFT JOIN tagged AS t
  ON t.account_id = f.account_id
  AND t.region = f.region
ORDER BY f.account_id, f.region, tagged DESC, t.key
