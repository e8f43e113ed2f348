-- question: Which packages do several functions run, and in how many accounts and Regions?
-- grain: one row per package, by its hash, that more than one function has; its functions are in functions, by code_sha256
-- column package_type: `Zip` or `Image`
-- column code_sha256: hash of the package, base64 for Zip, hex for Image
-- column functions: functions with any version that has it
-- column versions: versions that have it, including `$LATEST`
-- column accounts: number of accounts
-- column regions: number of Regions
-- column code_size: size of the package, bytes; 0 for images
-- column example_function_arn: ARN of one of the functions
-- column last_modified_at: newest update of these versions
WITH shared AS (
  SELECT package_type, code_sha256
  FROM functions
  WHERE code_sha256 IS NOT NULL
  GROUP BY package_type, code_sha256
  HAVING MIN(function_name) <> MAX(function_name)
    OR MIN(account_id) <> MAX(account_id)
    OR MIN(region) <> MAX(region)
)
SELECT
  f.package_type,
  f.code_sha256,
  COUNT(DISTINCT f.account_id || ':' || f.region || ':' || f.function_name) AS functions,
  COUNT(*) AS versions,
  COUNT(DISTINCT f.account_id) AS accounts,
  COUNT(DISTINCT f.region) AS regions,
  MAX(f.code_size) AS code_size,
  MIN(f.function_arn) AS example_function_arn,
  MAX(f.last_modified_at) AS last_modified_at
FROM functions AS f
JOIN shared AS s
  ON s.package_type = f.package_type
  AND s.code_sha256 = f.code_sha256
GROUP BY f.package_type, f.code_sha256
ORDER BY functions DESC, f.package_type, f.code_sha256
