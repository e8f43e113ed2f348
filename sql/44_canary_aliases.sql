-- question: Which aliases split their traffic, and since when at most?
-- grain: one row per alias and additional version, also with weight 0
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column alias: alias
-- column function_version: version that it points to
-- column version: additional version
-- column weight: share of the traffic that the additional version gets, 0 to 1
-- column days_since_publish: days from the publication of the newer version to the snapshot; the split cannot be older, and aliases have no date
-- column function_arn: ARN of the function
SELECT
  a.account_id,
  a.region,
  a.function_name,
  a.alias,
  a.function_version,
  r.version,
  r.weight,
  CAST(
    CAST(a.snapshot_at AS DATE)
    - CAST(CASE WHEN o.last_modified_at > p.last_modified_at THEN o.last_modified_at ELSE p.last_modified_at END AS DATE)
    AS INTEGER
  ) AS days_since_publish,
  p.function_arn
FROM aliases AS a
JOIN alias_routes AS r
  ON r.account_id = a.account_id
  AND r.region = a.region
  AND r.function_name = a.function_name
  AND r.alias = a.alias
  AND r.version <> a.function_version
LEFT JOIN functions AS p
  ON p.account_id = a.account_id
  AND p.region = a.region
  AND p.function_name = a.function_name
  AND p.version = a.function_version
LEFT JOIN functions AS o
  ON o.account_id = a.account_id
  AND o.region = a.region
  AND o.function_name = a.function_name
  AND o.version = r.version
ORDER BY a.account_id, a.region, a.function_name, a.alias, r.version
