-- title: May be public; the policy cannot be judged
-- severity: high
-- remediation: Read the statement. Give its condition an operator and fixed values that limit who calls, or name the principals.
-- grain: one row per function, alias or version with the verdict `public?` or `unknown` in function_exposure
-- reference: Prowler awslambda_function_not_publicly_accessible
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` for the function itself, else the alias or version
-- column verdict: `public?` or `unknown`
-- column sid: id of the statement that decides
-- column statement: index of that statement in the policy, from 0; NULL if the whole policy cannot be judged
-- column principal: its principal
-- column condition_json: its condition
SELECT account_id, region, function_name, qualifier AS version, verdict, sid, statement, principal, condition_json
FROM function_exposure
WHERE verdict IN ('public?', 'unknown', 'unknown?')
