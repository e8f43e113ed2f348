-- question: Which versions does each function have, and which aliases send traffic to them?
-- grain: one row per function version and alias that sends traffic to it; one row without alias if there is none
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column runtime: runtime identifier; NULL for images
-- column package_type: `Zip` or `Image`
-- column last_modified_at: last update of the version
-- column code_size: size of its package, bytes
-- column alias: alias that sends traffic to it; NULL if none does
-- column weight: share of the alias's traffic that the version gets, 0 to 1
SELECT
  f.account_id,
  f.region,
  f.function_name,
  f.version,
  f.runtime,
  f.package_type,
  f.last_modified_at,
  f.code_size,
  r.alias,
  r.weight
FROM functions AS f
LEFT JOIN alias_routes AS r
  ON r.account_id = f.account_id
  AND r.region = f.region
  AND r.function_name = f.function_name
  AND r.version = f.version
ORDER BY f.account_id, f.region, f.function_name, f.version, r.alias
