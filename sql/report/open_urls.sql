-- title: Open function URLs
-- about: Function URLs that take requests without credentials, and whether the policy lets everybody in.
-- empty: No function URL takes requests without credentials.
SELECT
  verdict,
  account_id,
  region,
  function_name,
  qualifier,
  function_url,
  is_any_origin,
  last_modified_time_at
FROM function_urls_open
ORDER BY verdict, account_id, region, function_name, qualifier
