-- question: Which layer versions are in use, which account owns them, and is a newer version in use?
-- grain: one row per account and region of the functions, and layer version
-- column account_id: account of the functions
-- column region: Region
-- column layer_arn: ARN of the layer version
-- column layer_name: name of the layer; NULL for layers of AWS without account
-- column layer_version: number of the version; NULL for layers of AWS without account
-- column layer_account_id: account that owns the layer; NULL for layers of AWS without account
-- column is_foreign: whether another account owns it
-- column newest_version_seen: highest version of this layer that any function in the dataset uses
-- column versions_behind: difference of both version numbers
-- column latest_functions: functions whose `$LATEST` uses it
-- column functions: functions with any version that uses it
-- column versions: versions that use it, including `$LATEST`
-- column code_size: size of the layer's archive, bytes
WITH used AS (
  SELECT
    account_id,
    region,
    layer_arn,
    COUNT(CASE WHEN version = '$LATEST' THEN 1 END) AS latest_functions,
    COUNT(DISTINCT function_name) AS functions,
    COUNT(*) AS versions,
    MAX(code_size) AS code_size
  FROM layers
  WHERE layer_arn IS NOT NULL
  GROUP BY account_id, region, layer_arn
), named AS ( -- arn:aws:lambda:REGION:ACCOUNT:layer:NAME:NUMBER, or arn:aws:lambda:::awslayer:NAME
  SELECT
    account_id,
    region,
    layer_arn,
    CASE
      WHEN STRPOS(layer_arn, ':layer:') > 0 THEN SUBSTRING(layer_arn, STRPOS(layer_arn, ':layer:') + 7)
    END AS name_and_number,
    CASE
      WHEN STRPOS(layer_arn, ':layer:') > 12 THEN SUBSTRING(layer_arn, STRPOS(layer_arn, ':layer:') - 12, 12)
    END AS layer_account_id,
    latest_functions,
    functions,
    versions,
    code_size
  FROM used
), numbered AS (
  SELECT
    account_id,
    region,
    layer_arn,
    CASE
      WHEN STRPOS(name_and_number, ':') > 1
      THEN SUBSTRING(name_and_number, 1, STRPOS(name_and_number, ':') - 1)
    END AS layer_name,
    CASE
      WHEN STRPOS(name_and_number, ':') > 1
      THEN CAST(SUBSTRING(name_and_number, STRPOS(name_and_number, ':') + 1) AS BIGINT)
    END AS layer_version,
    layer_account_id,
    latest_functions,
    functions,
    versions,
    code_size
  FROM named
)
SELECT
  account_id,
  region,
  layer_arn,
  layer_name,
  layer_version,
  layer_account_id,
  CASE WHEN layer_account_id = account_id THEN FALSE ELSE TRUE END AS is_foreign,
  MAX(layer_version) OVER (PARTITION BY region, layer_account_id, layer_name) AS newest_version_seen,
  MAX(layer_version) OVER (PARTITION BY region, layer_account_id, layer_name) - layer_version AS versions_behind,
  latest_functions,
  functions,
  versions,
  code_size
FROM numbered
ORDER BY functions DESC, account_id, region, layer_arn
