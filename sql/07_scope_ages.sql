-- question: How old is the last whole reading of each account-region, what came of the last attempt, and is it retired?
-- grain: one row per account-region that a snapshot set out to read whole
-- column account_id: account
-- column region: Region; `aws-global` for an account whose role could not be assumed
-- column last_whole_at: start of the last snapshot that read it whole; NULL if none did
-- column age_days: days from then to the newest snapshot of the dataset; NULL if it was never read whole
-- column last_status: what came of the last attempt: `complete`, `partial`, `denied` or `unavailable`
-- column last_attempt_at: start of the last snapshot that tried to read it
-- column is_retired: whether it was retired since it was last read whole
-- column retired_at: when it was retired; NULL if it is not
-- column functions: functions in the last whole reading
-- column last_whole_snapshot_id: last snapshot that read it whole
WITH fleet AS (
  SELECT account_id, region, snapshot_id, snapshot_at, status, functions
  FROM history.scopes
  WHERE coverage = 'fleet'
), attempts AS (
  SELECT
    account_id,
    region,
    MAX(CASE WHEN status <> 'retired' THEN f.snapshot_id END) AS attempt_id,
    MAX(CASE WHEN status = 'complete' THEN f.snapshot_id END) AS whole_id,
    MAX(CASE WHEN status = 'retired' THEN f.snapshot_id END) AS retired_id,
    MAX(f.snapshot_id) AS snapshot_id
  FROM fleet AS f
  GROUP BY account_id, region
), newest AS (
  SELECT MAX(snapshot_at) AS snapshot_at
  FROM history.scopes
  WHERE status <> 'retired'
)
SELECT
  a.account_id,
  a.region,
  w.snapshot_at AS last_whole_at,
  CAST(CAST(n.snapshot_at AS DATE) - CAST(w.snapshot_at AS DATE) AS INTEGER) AS age_days,
  t.status AS last_status,
  t.snapshot_at AS last_attempt_at,
  CASE WHEN r.snapshot_id IS NULL THEN FALSE ELSE TRUE END AS is_retired,
  r.snapshot_at AS retired_at,
  w.functions,
  w.snapshot_id AS last_whole_snapshot_id
FROM attempts AS a
CROSS JOIN newest AS n
LEFT JOIN fleet AS t
  ON t.account_id = a.account_id
  AND t.region = a.region
  AND t.snapshot_id = a.attempt_id
LEFT JOIN fleet AS w
  ON w.account_id = a.account_id
  AND w.region = a.region
  AND w.snapshot_id = a.whole_id
LEFT JOIN fleet AS r
  ON r.account_id = a.account_id
  AND r.region = a.region
  AND r.snapshot_id = a.retired_id
  AND r.snapshot_id > COALESCE(a.whole_id, '')
WHERE a.region <> 'aws-global' OR NOT EXISTS ( -- it stands for unknown Regions until the account was read
  SELECT 1 FROM attempts AS later WHERE later.account_id = a.account_id AND later.snapshot_id > a.snapshot_id
)
ORDER BY last_whole_at, a.account_id, a.region
