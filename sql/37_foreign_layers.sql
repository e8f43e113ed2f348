-- question: Which functions use layers of other accounts?
-- grain: one row per function version and layer that another account, or AWS, owns
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column layer_arn: ARN of the layer version
-- column layer_account_id: account that owns it; NULL for layers of AWS without account
-- column code_size: size of the layer's archive, bytes
-- column is_signed: whether the layer is signed
-- column runtime: runtime identifier
-- column role: execution role, with which the layer's code runs too
-- column last_modified_at: last update of the function version
SELECT
  l.account_id,
  l.region,
  l.function_name,
  l.version,
  l.layer_arn,
  CASE
    WHEN STRPOS(l.layer_arn, ':layer:') > 12 THEN SUBSTRING(l.layer_arn, STRPOS(l.layer_arn, ':layer:') - 12, 12)
  END AS layer_account_id,
  l.code_size,
  CASE WHEN l.signing_job_arn IS NULL THEN FALSE ELSE TRUE END AS is_signed,
  f.runtime,
  f.role,
  f.last_modified_at
FROM layers AS l
LEFT JOIN functions AS f
  ON f.account_id = l.account_id
  AND f.region = l.region
  AND f.function_name = l.function_name
  AND f.version = l.version
WHERE STRPOS(l.layer_arn, ':' || l.account_id || ':layer:') = 0
ORDER BY l.account_id, l.region, l.function_name, l.version, l.layer_arn
