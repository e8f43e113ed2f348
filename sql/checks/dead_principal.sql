-- title: Lets in a user or role that was deleted
-- severity: low
-- remediation: Remove the statement; its principal is the unique id of a deleted user or role and matches nobody.
-- grain: one row per statement and deleted principal
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` for the function itself, else the alias or version
-- column subject: unique id of the user or role
-- column sid: id of the statement
-- column statement: index of the statement in the policy, from 0
SELECT DISTINCT account_id, region, function_name, qualifier AS version, principal AS subject, sid, statement
FROM policy_grants
WHERE verdict IN ('dead_principal', 'dead_principal?')
