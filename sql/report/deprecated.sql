-- title: What to move first
-- about: Function versions on a runtime that is deprecated or has at most 180 days left; those that aliases send traffic to are on top.
-- empty: No function version is on a deprecated runtime, nor on one with less than 180 days left.
SELECT
  account_id,
  region,
  function_name,
  version,
  runtime,
  status,
  days_left,
  aliases AS aliases_to_it,
  successor,
  last_modified_at
FROM deprecated_runtimes
ORDER BY aliases_to_it DESC NULLS LAST, days_left, account_id, region, function_name, version
