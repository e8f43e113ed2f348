-- title: Alias has split its traffic for a long time
-- severity: low
-- remediation: Finish the deployment: give all traffic to one version.
-- grain: one row per alias that sends traffic to two versions, the newer of which is older than the threshold
-- threshold days: 7 (days): how long a canary deployment may take
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column subject: name of the alias
-- column smallest_weight: smaller share of the traffic
-- column newest_version_at: when the newer version was published
WITH split AS (
  SELECT
    r.account_id,
    r.region,
    r.function_name,
    r.alias,
    MIN(r.weight) AS smallest_weight,
    MAX(f.last_modified_at) AS newest_version_at,
    MAX(r.snapshot_at) AS snapshot_at
  FROM alias_routes AS r
  LEFT JOIN functions AS f
    ON f.account_id = r.account_id
    AND f.region = r.region
    AND f.function_name = r.function_name
    AND f.version = r.version
  WHERE r.weight > 0
  GROUP BY r.account_id, r.region, r.function_name, r.alias
  HAVING COUNT(*) > 1
)
SELECT s.account_id, s.region, s.function_name, s.alias AS subject, s.smallest_weight, s.newest_version_at
FROM split AS s
CROSS JOIN thresholds AS t
WHERE CAST(CAST(s.snapshot_at AS DATE) - CAST(s.newest_version_at AS DATE) AS INTEGER) >= t.days
