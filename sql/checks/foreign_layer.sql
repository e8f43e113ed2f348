-- title: Uses a layer of another account
-- severity: medium
-- remediation: Copy the layer into your own account, or add its account to trusted_accounts. Code of the layer's owner runs with the function's role.
-- grain: one row per version in use: `$LATEST`, and versions that an alias sends traffic to, and layer; layers of AWS without account are not judged
-- reference: Prowler awslambda_function_using_cross_account_layers
-- threshold trusted_accounts: [] (account ids): accounts whose layers are accepted
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column subject: ARN of the layer version
WITH routed AS (
  SELECT DISTINCT account_id, region, function_name, version
  FROM alias_routes
  WHERE weight > 0
)
SELECT f.account_id, f.region, f.function_name, f.version, y.layer_arn AS subject
FROM layers AS y
JOIN functions AS f
  ON f.account_id = y.account_id
  AND f.region = y.region
  AND f.function_name = y.function_name
  AND f.version = y.version
LEFT JOIN routed AS r
  ON r.account_id = f.account_id
  AND r.region = f.region
  AND r.function_name = f.function_name
  AND r.version = f.version
WHERE (f.version = '$LATEST' OR r.version IS NOT NULL)
  AND y.layer_arn LIKE 'arn:%:lambda:%:layer:%'
  AND y.layer_arn NOT LIKE 'arn:%:lambda:%:' || y.account_id || ':layer:%'
  AND NOT EXISTS (
    SELECT 1 FROM threshold_items AS i
    WHERE i.name = 'trusted_accounts' AND y.layer_arn LIKE 'arn:%:lambda:%:' || i.item || ':layer:%'
  )
