-- question: Which packages run as several functions, in how many accounts and Regions?
-- grain: one row per package, told by its hash, that more than one function has; find its functions in functions by code_sha256
-- column package_type: `Zip` or `Image`
-- column code_sha256: hash of the package, base64 for Zip, hex for Image
-- column functions: functions that have it in any version
-- column versions: versions that have it, `$LATEST` ones included
-- column accounts: accounts
-- column regions: Regions
-- column code_size: its size, bytes; 0 for images
-- column example_function_arn: one of the functions
-- column last_modified_at: newest change of such a version
WITH each_function AS (
  SELECT
    package_type,
    code_sha256,
    account_id,
    region,
    function_name,
    MAX(function_arn) AS function_arn,
    COUNT(*) AS versions,
    MAX(code_size) AS code_size,
    MAX(last_modified_at) AS last_modified_at
  FROM functions
  WHERE code_sha256 IS NOT NULL
  GROUP BY package_type, code_sha256, account_id, region, function_name
)
SELECT
  package_type,
  code_sha256,
  COUNT(*) AS functions,
  CAST(SUM(versions) AS BIGINT) AS versions,
  COUNT(DISTINCT account_id) AS accounts,
  COUNT(DISTINCT region) AS regions,
  MAX(code_size) AS code_size,
  MIN(function_arn) AS example_function_arn,
  MAX(last_modified_at) AS last_modified_at
FROM each_function
GROUP BY package_type, code_sha256
HAVING COUNT(*) > 1
ORDER BY functions DESC, package_type, code_sha256
