-- question: What went wrong in the newest snapshot, how often, and is something missing for it?
-- grain: one row per step, operation and code of error of the newest snapshot, whatever it covers
-- column stage: step that met the error
-- column operation: AWS operation that met it
-- column error_code: AWS's code, or ours
-- column is_gap: whether something is missing from the snapshot for it
-- column errors: how often
-- column accounts: accounts that met it
-- column regions: Regions that met it
-- column functions: functions it concerns
-- column attempts: calls made in vain
-- column example: one of the messages
SELECT
  stage,
  operation,
  error_code,
  is_gap,
  COUNT(*) AS errors,
  COUNT(DISTINCT account_id) AS accounts,
  COUNT(DISTINCT region) AS regions,
  COUNT(DISTINCT account_id || ':' || region || ':' || function_name) AS functions,
  COALESCE(CAST(SUM(attempts) AS BIGINT), 0) AS attempts,
  MIN(message) AS example
FROM snapshot.errors
GROUP BY stage, operation, error_code, is_gap
ORDER BY errors DESC, stage, operation, error_code, is_gap
