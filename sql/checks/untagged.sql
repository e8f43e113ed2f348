-- title: Has no tags
-- severity: low
-- remediation: Add tags for owner and cost centre.
-- grain: one row per function, by its `$LATEST`; AWS's own tags (`aws:`) do not count; for unreadable tags see tags_unreadable
-- reference: Security Hub Lambda.6
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
WITH tagged AS (
  SELECT DISTINCT account_id, region, function_name
  FROM tags
  WHERE key NOT LIKE 'aws:%'
)
SELECT f.account_id, f.region, f.function_name, f.version
FROM functions AS f
LEFT JOIN tagged AS g
  ON g.account_id = f.account_id
  AND g.region = f.region
  AND g.function_name = f.function_name
WHERE f.version = '$LATEST'
  AND f.tags_error_code IS NULL
  AND f.tags_error_message IS NULL
  AND g.function_name IS NULL
