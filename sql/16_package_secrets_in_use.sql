-- question: Which function versions run code in which a secret is suspected, in their package or a layer?
-- grain: one row per function version, and line and rule of a suspected secret in its package or in one of its layers
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column layer_arn: layer version that contains it; NULL if the function's own package does
-- column path: file in that package
-- column line: line of the file, from 1
-- column rule: rule that matched
-- column sha256_hex: SHA-256 of the package or layer that contains it
WITH contents AS (
  SELECT
    f.account_id,
    f.region,
    f.function_name,
    f.version,
    CAST(NULL AS VARCHAR) AS layer_arn,
    f.code_sha256
  FROM functions AS f
  UNION ALL
  SELECT
    l.account_id,
    l.region,
    l.function_name,
    l.version,
    l.layer_arn,
    v.code_sha256
  FROM layers AS l
  JOIN layer_versions AS v
    ON v.layer_arn = l.layer_arn
)
SELECT
  c.account_id,
  c.region,
  c.function_name,
  c.version,
  c.layer_arn,
  s.path,
  s.line,
  s.rule,
  s.sha256_hex
FROM contents AS c
JOIN packages AS p
  ON p.code_sha256 = c.code_sha256
JOIN package_secrets AS s
  ON s.sha256_hex = p.sha256_hex
  AND s.secret_rules_version = p.secret_rules_version
ORDER BY c.account_id, c.region, c.function_name, c.version, c.layer_arn, s.path, s.line, s.rule
