-- question: How many calls and how much time did each snapshot take, and how many rows were carried over?
-- grain: one row per snapshot, account and region
-- column snapshot_id: snapshot
-- column snapshot_at: start of the run
-- column account_id: account
-- column region: Region
-- column coverage: `fleet`, or `selection` for a list of functions
-- column status: `complete`, `partial`, `denied` or `unavailable`
-- column functions: functions read
-- column versions: versions read, including `$LATEST`
-- column get_function_calls: GetFunction calls, retries included
-- column list_calls: all other calls, retries included
-- column throttles: calls that AWS throttled
-- column carried_rows: rows carried over from an earlier snapshot
-- column calls_per_version: calls per version read
-- column started_at: when reading began
-- column ended_at: when reading ended
SELECT
  snapshot_id,
  snapshot_at,
  account_id,
  region,
  coverage,
  status,
  functions,
  versions,
  get_function_calls,
  list_calls,
  throttles,
  carried_rows,
  CAST(get_function_calls + list_calls AS DOUBLE) / NULLIF(versions, 0) AS calls_per_version,
  started_at,
  ended_at
FROM history.scopes
WHERE status <> 'retired'
ORDER BY snapshot_id DESC, account_id, region
