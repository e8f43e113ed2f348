-- title: Completeness
-- about: The newest attempt to read each account-region, and the reading that is shown: an older one if the newest is not whole, none if there was never a whole one.
-- empty: The dataset has snapshots of lists of functions only.
-- rows: 500
SELECT
  c.account_id,
  c.region,
  c.status,
  MAX(c.snapshot_at) AS tried_at,
  MAX(s.snapshot_at) AS shown_at,
  MAX(c.functions) AS functions,
  MAX(c.function_count_reported) AS aws_counts,
  SUM(CASE WHEN c.is_gap THEN c.errors ELSE 0 END)::BIGINT AS gaps,
  SUM(c.errors)::BIGINT AS errors,
  STRING_AGG(DISTINCT c.operation || ' ' || c.error_code, ', ' ORDER BY c.operation || ' ' || c.error_code) AS met,
  MIN(c.example) AS example
FROM completeness AS c
LEFT JOIN scopes AS s ON s.account_id = c.account_id AND s.region = c.region
WHERE c.coverage = 'fleet'
GROUP BY c.account_id, c.region, c.status
ORDER BY c.status = 'complete', c.status = 'unavailable', gaps DESC, errors DESC, c.account_id, c.region
