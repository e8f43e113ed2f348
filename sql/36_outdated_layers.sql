-- question: Which functions use an old version of a layer while others use a newer one?
-- grain: one row per function version and outdated layer
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column layer_arn: ARN of the layer version
-- column layer_name: name of the layer
-- column layer_version: number of the version in use
-- column newest_version_seen: highest version of this layer that any function in the dataset uses
-- column versions_behind: difference of both version numbers
-- column runtime: runtime identifier
-- column last_modified_at: last update of the function version
SELECT
  l.account_id,
  l.region,
  l.function_name,
  l.version,
  l.layer_arn,
  u.layer_name,
  u.layer_version,
  u.newest_version_seen,
  u.versions_behind,
  f.runtime,
  f.last_modified_at
FROM layers AS l
JOIN layer_usage AS u
  ON u.account_id = l.account_id
  AND u.region = l.region
  AND u.layer_arn = l.layer_arn
LEFT JOIN functions AS f
  ON f.account_id = l.account_id
  AND f.region = l.region
  AND f.function_name = l.function_name
  AND f.version = l.version
WHERE u.versions_behind > 0
ORDER BY l.account_id, l.region, l.function_name, l.version, l.layer_arn
