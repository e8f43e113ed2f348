-- question: Which libraries does each function version use, in its package or a layer, and which file names them?
-- grain: one row per function version and dependency in its package or in one of its layers, and file that names it
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column layer_arn: layer version that contains it; NULL if the function's own package does
-- column ecosystem: pypi, npm, maven, golang, nuget, gem, composer or cargo
-- column dependency: name of the library
-- column dependency_version: version of the library; NULL if the file does not name one
-- column sha256_hex: SHA-256 of the package or layer that contains it
-- column path: file in that package that names it
WITH contents AS (
  SELECT
    f.account_id,
    f.region,
    f.function_name,
    f.version,
    CAST(NULL AS VARCHAR) AS layer_arn,
    p.sha256_hex
  FROM functions AS f
  JOIN packages AS p
    ON p.code_sha256 = f.code_sha256
  UNION ALL
  SELECT
    l.account_id,
    l.region,
    l.function_name,
    l.version,
    l.layer_arn,
    p.sha256_hex
  FROM layers AS l
  JOIN layer_versions AS v
    ON v.layer_arn = l.layer_arn
  JOIN packages AS p
    ON p.code_sha256 = v.code_sha256
)
SELECT
  c.account_id,
  c.region,
  c.function_name,
  c.version,
  c.layer_arn,
  d.ecosystem,
  d.name AS dependency,
  d.version AS dependency_version,
  d.sha256_hex,
  d.path
FROM contents AS c
JOIN package_dependencies AS d
  ON d.sha256_hex = c.sha256_hex
ORDER BY c.account_id, c.region, c.function_name, c.version, c.layer_arn, d.ecosystem, d.name, d.version, d.path
