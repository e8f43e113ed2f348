-- question: Which function URLs take requests without credentials, what do their policies allow, and from which web pages?
-- grain: one row per function URL with AuthType NONE, the worst first
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column qualifier: `$LATEST` for the function itself, else the alias
-- column function_url: function URL
-- column verdict: verdict in function_exposure: `internet` if the policy lets everybody in, `url_broken` if the URL answers 403
-- column invoke_mode: `BUFFERED` or `RESPONSE_STREAM`
-- column has_cors: whether browsers may call it from other web pages
-- column is_any_origin: whether from all web pages
-- column cors_allow_credentials: whether with cookies and other credentials
-- column cors_allow_origins: origins of these pages, as JSON
-- column cors_allow_methods: methods, as JSON
-- column cors_allow_headers: request headers, as JSON
-- column cors_expose_headers: response headers that pages can read, as JSON
-- column cors_max_age: how long browsers may keep the permission, seconds
-- column creation_time_at: when the URL was made
-- column last_modified_time_at: last update of the URL
SELECT
  u.account_id,
  u.region,
  u.function_name,
  u.qualifier,
  u.function_url,
  e.verdict,
  u.invoke_mode,
  CASE WHEN u.cors_allow_origins IS NULL OR u.cors_allow_origins = '[]' THEN FALSE ELSE TRUE END AS has_cors,
  CASE WHEN u.cors_allow_origins LIKE '%"*"%' THEN TRUE ELSE FALSE END AS is_any_origin,
  u.cors_allow_credentials,
  u.cors_allow_origins,
  u.cors_allow_methods,
  u.cors_allow_headers,
  u.cors_expose_headers,
  u.cors_max_age,
  u.creation_time_at,
  u.last_modified_time_at
FROM function_urls AS u
JOIN function_exposure AS e
  ON e.account_id = u.account_id
  AND e.region = u.region
  AND e.function_name = u.function_name
  AND e.qualifier = u.qualifier
WHERE u.auth_type = 'NONE'
ORDER BY e.rank, u.account_id, u.region, u.function_name, u.qualifier
