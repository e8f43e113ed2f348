-- question: Which aliases still split their traffic, and how long could that have been so?
-- grain: one row per alias and version beside its first one, with weight 0 too
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column alias: alias
-- column function_version: version that it points to first
-- column version: the other version
-- column weight: share of the traffic that the other version gets, 0 to 1
-- column days_since_publish: days from the newer of both versions to the snapshot, the longest that the split can last; aliases have no date of their own
-- column function_arn: ARN of the function
SELECT
  a.account_id,
  a.region,
  a.function_name,
  a.alias,
  a.function_version,
  r.version,
  r.weight,
  DATE_DIFF(
    'day',
    CAST(CASE WHEN o.last_modified_at > p.last_modified_at THEN o.last_modified_at ELSE p.last_modified_at END AS DATE),
    CAST(a.snapshot_at AS DATE)
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
