-- title: Functions without calls
-- about: Functions that CloudWatch counted no call of within the last two weeks, or within all days that were read. What CloudWatch cannot tell is not in this list.
-- empty: Every function whose use is known was called within the last two weeks.
SELECT
  verdict,
  account_id,
  region,
  function_name,
  last_used_day,
  known_since,
  throttles,
  code_size AS code_bytes,
  last_modified_at
FROM unused_functions
WHERE verdict <> 'unknown'
ORDER BY verdict DESC, code_bytes DESC, account_id, region, function_name
