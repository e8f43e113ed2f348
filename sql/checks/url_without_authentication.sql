-- title: Function URL asks for no signature
-- severity: medium
-- remediation: Set AuthType of the function URL to AWS_IAM, or put authentication into the function and waive it. Whether everybody can really call it is judged by the checks of exposure.
-- grain: one row per function URL with AuthType `NONE`, whatever its policy allows
-- reference: Prowler awslambda_function_url_public, Steampipe lambda_function_restrict_public_url
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` for the function itself, else the alias
-- column subject: function URL
SELECT u.account_id, u.region, u.function_name, u.qualifier AS version, u.function_url AS subject
FROM function_urls AS u
WHERE u.auth_type = 'NONE'
