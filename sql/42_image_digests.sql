-- question: Which container images are in use, by digest, and with which tag were they deployed?
-- grain: one row per account, region and image, by its digest, or by its tag if AWS reports no digest
-- column account_id: account
-- column region: Region
-- column image: image by digest, `repository@sha256:...`, or as deployed if AWS reports no digest
-- column image_uri: image as deployed, with its tag; the first one if there are several
-- column image_uris: number of different tags with which it was deployed
-- column latest_functions: functions whose `$LATEST` runs it
-- column functions: functions with any version that runs it
-- column versions: versions that run it, including `$LATEST`
-- column last_modified_at: newest update of these versions
SELECT
  account_id,
  region,
  COALESCE(code_resolved_image_uri, code_image_uri) AS image,
  MIN(code_image_uri) AS image_uri,
  COUNT(DISTINCT code_image_uri) AS image_uris,
  COUNT(CASE WHEN version = '$LATEST' THEN 1 END) AS latest_functions,
  COUNT(DISTINCT function_name) AS functions,
  COUNT(*) AS versions,
  MAX(last_modified_at) AS last_modified_at
FROM functions
WHERE package_type = 'Image'
GROUP BY account_id, region, COALESCE(code_resolved_image_uri, code_image_uri)
ORDER BY functions DESC, account_id, region, image
