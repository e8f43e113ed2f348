-- question: Was each account-region read whole in its newest snapshot, and if not, what is missing and why?
-- grain: one row per account, region, coverage and kind of error in its newest snapshot; one row without error if there is none, and none of what was retired since
-- column account_id: account
-- column region: Region
-- column coverage: `fleet`, or `selection` for a list of functions
-- column snapshot_id: newest snapshot that tried to read it
-- column snapshot_at: start of that snapshot
-- column status: `complete`, `partial`, `denied` or `unavailable`
-- column functions: functions read
-- column function_count_reported: number of functions that AWS reports; NULL if access was denied
-- column stage: step in which the error occurred
-- column operation: AWS operation that failed
-- column error_code: error code of AWS or of lexport
-- column is_gap: whether data is missing because of it
-- column errors: number of errors
-- column example: one of the messages
WITH newest AS (
  SELECT account_id, region, coverage, MAX(snapshot_id) AS snapshot_id
  FROM history.scopes
  GROUP BY account_id, region, coverage
), problems AS (
  SELECT
    snapshot_id,
    account_id,
    region,
    stage,
    operation,
    error_code,
    is_gap,
    COUNT(*) AS errors,
    MIN(message) AS example
  FROM history.errors
  GROUP BY snapshot_id, account_id, region, stage, operation, error_code, is_gap
)
SELECT
  s.account_id,
  s.region,
  s.coverage,
  s.snapshot_id,
  s.snapshot_at,
  s.status,
  s.functions,
  s.function_count_reported,
  p.stage,
  p.operation,
  p.error_code,
  p.is_gap,
  COALESCE(p.errors, 0) AS errors,
  p.example
FROM newest AS n
JOIN history.scopes AS s
  ON s.snapshot_id = n.snapshot_id
  AND s.account_id = n.account_id
  AND s.region = n.region
  AND s.coverage = n.coverage
LEFT JOIN problems AS p
  ON p.snapshot_id = s.snapshot_id
  AND p.account_id = s.account_id
  AND p.region IN (s.region, 'aws-global') -- the whole account: its role could not be assumed
WHERE s.status <> 'retired'
  AND (s.region <> 'aws-global' OR NOT EXISTS ( -- it stands for unknown Regions until the account was read
    SELECT 1 FROM newest AS later WHERE later.account_id = s.account_id AND later.snapshot_id > s.snapshot_id
  ))
  AND NOT EXISTS ( -- a list of functions that was read before
    SELECT 1
    FROM history.scopes AS ended
    WHERE ended.account_id = s.account_id
      AND ended.region = s.region
      AND ended.status = 'retired'
      AND ended.snapshot_id > s.snapshot_id
  )
ORDER BY s.account_id, s.region, s.coverage, p.stage, p.operation, p.error_code
