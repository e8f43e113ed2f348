-- question: Which errors occurred in the newest snapshot, how often, and is data missing because of them?
-- grain: one row per step, operation and error code of the newest snapshot, whatever its coverage
-- column stage: step in which the error occurred
-- column operation: AWS operation that failed
-- column error_code: error code of AWS or of lexport
-- column is_gap: whether data is missing because of it
-- column errors: number of errors
-- column accounts: number of accounts with the error
-- column regions: number of Regions with the error
-- column functions: number of functions with the error
-- column attempts: number of failed attempts
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
