-- title: What was read around the functions
-- about: Functions whose policies, function URLs or use were not asked for, or could not be read.
-- empty: There are no functions.
WITH exposed AS MATERIALIZED (
  SELECT policy_status, url_status FROM function_exposure WHERE qualifier = '$LATEST'
)
SELECT
  COUNT(*) AS functions,
  COUNT(*) FILTER (policy_status = 'not_requested') AS policies_not_read,
  COUNT(*) FILTER (policy_status = 'unread') AS policies_failed,
  COUNT(*) FILTER (url_status = 'not_requested') AS urls_not_read,
  COUNT(*) FILTER (url_status = 'unread') AS urls_failed,
  (SELECT COUNT(*) FROM usage_unread WHERE reason = 'not_read') AS use_not_read,
  (SELECT COUNT(*) FROM usage_unread WHERE reason = 'failed') AS use_failed
FROM exposed
