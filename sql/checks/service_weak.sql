-- title: Lets in Amazon S3 for a bucket without checking its owner
-- severity: medium
-- remediation: Add the condition aws:SourceAccount. Otherwise, after you delete the bucket, whoever creates one of that name can call the function.
-- grain: one row per statement with aws:SourceArn of a bucket and without aws:SourceAccount
-- reference: Security Hub Lambda.1, AWS Config lambda-function-public-access-prohibited
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` for the function itself, else the alias or version
-- column subject: bucket, or a JSON array of several
-- column sid: id of the statement
-- column statement: index of the statement in the policy, from 0
SELECT DISTINCT
  g.account_id,
  g.region,
  g.function_name,
  g.qualifier AS version,
  s.source_arn AS subject,
  g.sid,
  g.statement
FROM policy_grants AS g
JOIN policy_statements AS s
  ON s.account_id = g.account_id
  AND s.region = g.region
  AND s.function_name = g.function_name
  AND s.qualifier = g.qualifier
  AND s.position = g.position
WHERE g.verdict IN ('service_weak', 'service_weak?')
