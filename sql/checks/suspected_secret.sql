-- title: Environment variable looks like a secret
-- severity: critical
-- remediation: Revoke it, move it to Secrets Manager or Parameter Store, and delete the versions that contain it.
-- grain: one row per variable of a function version whose value has the form of a secret; every version counts, because each shows the value
-- reference: Prowler awslambda_function_no_secrets_in_variables, Steampipe lambda_function_variables_no_sensitive_data
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column subject: name of the variable
-- column secret_rule: rule that matched, never the value
SELECT e.account_id, e.region, e.function_name, e.version, e.name AS subject, e.secret_rule
FROM env_vars AS e
WHERE e.secret_rule IS NOT NULL
  AND e.secret_rule <> 'secret_name'
