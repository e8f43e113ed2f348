-- title: Code looks like it contains a secret
-- severity: critical
-- remediation: Revoke it, read it from Secrets Manager or Parameter Store, and delete the versions and layers that contain it. `lexport packages DEST --inspect --secrets` searches code.
-- grain: one row per version in use, `$LATEST` and versions that an alias sends traffic to, and file and rule in its package or a layer
-- reference: Prowler awslambda_function_no_secrets_in_code, Prowler awslambda_layer_no_secrets_in_content
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column subject: file and rule, never the secret
-- column line: first line of that file that matches
-- column layer_arn: layer version that contains the file; NULL if the function's own package does
WITH routed AS (
  SELECT DISTINCT account_id, region, function_name, version
  FROM alias_routes
  WHERE weight > 0
),

contents AS (
  SELECT f.account_id, f.region, f.function_name, f.version, CAST(NULL AS VARCHAR) AS layer_arn, f.code_sha256
  FROM functions AS f
  UNION ALL
  SELECT y.account_id, y.region, y.function_name, y.version, y.layer_arn, v.code_sha256
  FROM layers AS y
  JOIN layer_versions AS v
    ON v.layer_arn = y.layer_arn
)

SELECT
  c.account_id,
  c.region,
  c.function_name,
  c.version,
  s.path || ': ' || s.rule AS subject,
  MIN(s.line) AS line,
  MIN(c.layer_arn) AS layer_arn
FROM contents AS c
LEFT JOIN routed AS r
  ON r.account_id = c.account_id
  AND r.region = c.region
  AND r.function_name = c.function_name
  AND r.version = c.version
JOIN packages AS p
  ON p.code_sha256 = c.code_sha256
JOIN package_secrets AS s
  ON s.sha256_hex = p.sha256_hex
  AND s.secret_rules_version = p.secret_rules_version
WHERE c.version = '$LATEST' OR r.version IS NOT NULL
GROUP BY c.account_id, c.region, c.function_name, c.version, s.path, s.rule
