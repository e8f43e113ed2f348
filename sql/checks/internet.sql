-- title: Can be called from the internet without credentials
-- severity: critical
-- remediation: Set AuthType of the function URL to AWS_IAM, or remove the statement that lets everybody in; waive a URL that is public on purpose.
-- grain: one row per function, alias or version with the verdict `internet` or `internet?` in function_exposure
-- reference: Prowler awslambda_function_url_public, Prowler awslambda_function_not_publicly_accessible, Security Hub Lambda.1, AWS Config lambda-function-public-access-prohibited, Steampipe lambda_function_restrict_public_access
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` for the function itself, else the alias or version
-- column verdict: `internet`, or `internet?` if a condition may refuse requests, or if the policy was not read
-- column sid: id of the statement that decides; NULL if the policy was not read
-- column function_url: function URL
SELECT account_id, region, function_name, qualifier AS version, verdict, sid, function_url
FROM function_exposure
WHERE verdict IN ('internet', 'internet?')
