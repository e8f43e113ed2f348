-- title: Lets in an AWS service for any account
-- severity: high
-- remediation: Add the condition aws:SourceAccount, or aws:SourceArn with your account, to the statement.
-- grain: one row per statement and service without a condition that names the account of the source
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` for the function itself, else the alias or version
-- column subject: service
-- column sid: id of the statement
-- column statement: index of the statement in the policy, from 0
-- column verdict: `confused_deputy`; a `?` means that a Deny may refuse requests
SELECT DISTINCT account_id, region, function_name, qualifier AS version, principal AS subject, sid, statement, verdict
FROM policy_grants
WHERE verdict IN ('confused_deputy', 'confused_deputy?')
