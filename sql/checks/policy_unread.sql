-- title: Policy or function URL was not read
-- severity: medium
-- remediation: Allow lambda:GetPolicy and lambda:ListFunctionUrlConfigs; see the view errors_by_kind.
-- grain: one row per function, alias or version whose policy or URL failed; one per account-region that refuses all; none where the run did not ask
-- column account_id: account
-- column region: Region
-- column function_name: function; NULL for all functions of the account-region
-- column version: `$LATEST` for the function itself, else the alias or version
-- column subject: `policies` or `urls`
-- column status: `partial`, `denied` or `unavailable`: how the resource was read in the account-region
SELECT s.account_id, s.region, CAST(NULL AS TEXT) AS function_name, CAST(NULL AS TEXT) AS version, s.resource AS subject, s.status
FROM scope_resources AS s
WHERE (s.resource IN ('policies', 'urls') AND s.status = 'denied')
  OR (s.resource = 'policies' AND s.status = 'unavailable')
UNION ALL
SELECT t.account_id, t.region, t.function_name, t.qualifier AS version, s.resource AS subject, s.status
FROM exposure_targets AS t
JOIN scope_resources AS s
  ON s.account_id = t.account_id
  AND s.region = t.region
  AND s.status IN ('complete', 'partial')
WHERE (s.resource = 'policies' AND t.policy_status = 'unread')
  OR (s.resource = 'urls' AND t.url_status = 'unread')
