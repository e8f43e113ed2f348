-- question: Which package does each function version run, and is it stored?
-- grain: one row per function version
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column runtime: runtime identifier; NULL for images
-- column package_type: `Zip` or `Image`
-- column code_sha256: SHA-256 of the package, as AWS reports it
-- column size_bytes: size of the package, bytes
-- column status: status of the package; NULL if no run has processed it
-- column reason: why it is not stored
-- column path: path in the dataset if it is stored, otherwise NULL
-- column sharing_versions: function versions with the same package, including this one
SELECT
  f.account_id,
  f.region,
  f.function_name,
  f.version,
  f.runtime,
  f.package_type,
  f.code_sha256,
  f.code_size AS size_bytes,
  p.status,
  p.reason,
  p.path,
  COUNT(*) OVER (PARTITION BY COALESCE(f.code_sha256, f.function_arn || ':' || f.version)) AS sharing_versions
FROM functions AS f
LEFT JOIN packages AS p
  ON p.code_sha256 = f.code_sha256
ORDER BY f.account_id, f.region, f.function_name, f.version
