-- title: Becomes public with a function URL
-- severity: medium
-- remediation: Remove the statement; it lets everybody in as soon as somebody creates the fitting function URL.
-- grain: one row per statement for everybody that a missing URL, or a URL with another AuthType, keeps from having effect
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` for the function itself, else the alias or version
-- column sid: id of the statement
-- column statement: index of the statement in the policy, from 0
-- column action: its action
SELECT DISTINCT account_id, region, function_name, qualifier AS version, sid, statement, action
FROM policy_grants
WHERE verdict IN ('latent', 'latent?')
