-- title: Alias points to a version that does not exist
-- severity: medium
-- remediation: Point the alias to a version that exists.
-- grain: one row per alias and missing version; only if published versions were read
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: version that the alias points to
-- column subject: name of the alias
WITH published AS (
  SELECT DISTINCT account_id, region
  FROM functions
  WHERE version <> '$LATEST'
)
SELECT r.account_id, r.region, r.function_name, r.version, r.alias AS subject
FROM alias_routes AS r
JOIN published AS p
  ON p.account_id = r.account_id
  AND p.region = r.region
LEFT JOIN functions AS f
  ON f.account_id = r.account_id
  AND f.region = r.region
  AND f.function_name = r.function_name
  AND f.version = r.version
WHERE r.version <> '$LATEST'
  AND f.version IS NULL
