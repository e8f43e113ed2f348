-- title: Code is not signed, unlike that of most functions
-- severity: medium
-- remediation: Sign the package with AWS Signer, and attach a code signing configuration that enforces it.
-- grain: one row per function, by its `$LATEST`; zip packages, in account-regions where most of them are signed
-- threshold share: 0.5 (share of the functions): signed share from which unsigned code is a finding
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column signed_functions: functions of the account-region whose code is signed
WITH signed AS (
  SELECT
    account_id,
    region,
    COUNT(*) AS functions,
    COUNT(CASE WHEN COALESCE(signing_job_arn, '') <> '' THEN 1 END) AS signed_functions
  FROM functions
  WHERE version = '$LATEST'
    AND package_type = 'Zip'
  GROUP BY account_id, region
)
SELECT f.account_id, f.region, f.function_name, f.version, s.signed_functions
FROM functions AS f
JOIN signed AS s
  ON s.account_id = f.account_id
  AND s.region = f.region
CROSS JOIN thresholds AS t
WHERE f.version = '$LATEST'
  AND f.package_type = 'Zip'
  AND COALESCE(f.signing_job_arn, '') = ''
  AND s.signed_functions > 0
  AND s.signed_functions >= t.share * s.functions
