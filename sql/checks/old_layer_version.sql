-- title: Uses an older version of a layer than other functions
-- severity: low
-- remediation: Move to the newest version that is in use.
-- grain: one row per function, by its `$LATEST`, and layer; compared with the newest version in use in the account-region, not the newest that exists
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column subject: ARN of the layer version
-- column newest_version: newest version of the layer in use
WITH parts AS (
  SELECT
    account_id,
    region,
    function_name,
    version,
    layer_arn,
    TRIM(TRAILING '0123456789' FROM layer_arn) AS layer,
    LENGTH(layer_arn) - LENGTH(TRIM(TRAILING '0123456789' FROM layer_arn)) AS digits
  FROM layers
  WHERE version = '$LATEST'
), numbered AS (
  SELECT
    account_id,
    region,
    function_name,
    version,
    layer_arn,
    layer,
    CASE WHEN digits BETWEEN 1 AND 18 THEN CAST(SUBSTRING(layer_arn, LENGTH(layer) + 1) AS BIGINT) END AS layer_version
  FROM parts
  WHERE layer LIKE '%:layer:%:'
), newest AS (
  SELECT account_id, region, layer, MAX(layer_version) AS newest_version
  FROM numbered
  GROUP BY account_id, region, layer
)
SELECT n.account_id, n.region, n.function_name, n.version, n.layer_arn AS subject, m.newest_version
FROM numbered AS n
JOIN newest AS m
  ON m.account_id = n.account_id
  AND m.region = n.region
  AND m.layer = n.layer
WHERE n.layer_version < m.newest_version
