-- title: Function URL answers 403 to everybody
-- severity: low
-- remediation: Allow both lambda:InvokeFunctionUrl and lambda:InvokeFunction with lambda:InvokedViaFunctionUrl, on the qualifier that has the URL; or delete the URL.
-- grain: one row per function or alias whose URL has no policy, or one of the two permissions alone
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` for the function itself, else the alias or version
-- column url_auth_type: `NONE` or `AWS_IAM`
-- column function_url: function URL
-- column sid: id of the statement for everybody; NULL if there is none
SELECT DISTINCT e.account_id, e.region, e.function_name, e.qualifier AS version, e.url_auth_type, e.function_url, g.sid
FROM function_exposure AS e
LEFT JOIN policy_grants AS g
  ON g.account_id = e.account_id
  AND g.region = e.region
  AND g.function_name = e.function_name
  AND g.qualifier = e.qualifier
  AND g.verdict IN ('url_broken', 'url_broken?')
WHERE e.verdict IN ('url_broken', 'url_broken?') OR g.verdict IS NOT NULL
