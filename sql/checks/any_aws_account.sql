-- title: Can be used by every AWS account
-- severity: critical
-- remediation: Name the accounts in Principal, or add a condition with a fixed value, such as aws:PrincipalOrgID or aws:SourceAccount.
-- grain: one row per function, alias or version with such a verdict in function_exposure
-- reference: Prowler awslambda_function_not_publicly_accessible, Security Hub Lambda.1, AWS Config lambda-function-public-access-prohibited, Steampipe lambda_function_restrict_public_access
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` for the function itself, else the alias or version
-- column verdict: `any_aws_account`, or `any_aws_account_via_url` by the function URL alone; a `?` means that a Deny may refuse requests
-- column action_class: what can be done, the worst first: `change`, `read code`, `invoke`, `other`
-- column sid: id of the statement that decides
-- column action: its action
SELECT account_id, region, function_name, qualifier AS version, verdict, action_class, sid, action
FROM function_exposure
WHERE verdict IN ('any_aws_account', 'any_aws_account?', 'any_aws_account_via_url', 'any_aws_account_via_url?')
