-- title: Function URL answers scripts of every website
-- severity: medium
-- remediation: List the origins that may call the function URL, or remove its CORS settings.
-- grain: one row per function URL whose CORS settings allow every origin
-- reference: Prowler awslambda_function_url_cors_policy, Steampipe lambda_function_cors_configuration
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` for the function itself, else the alias
-- column subject: allowed origins
-- column auth_type: `NONE` or `AWS_IAM`
-- column cors_allow_credentials: whether browsers may send cookies and credentials
SELECT
  u.account_id,
  u.region,
  u.function_name,
  u.qualifier AS version,
  u.cors_allow_origins AS subject,
  u.auth_type,
  u.cors_allow_credentials
FROM function_urls AS u
WHERE u.cors_allow_origins LIKE '%"*"%'
  OR u.cors_allow_origins LIKE '%"http://*"%'
  OR u.cors_allow_origins LIKE '%"https://*"%'
