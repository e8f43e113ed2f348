-- title: Tags could not be read
-- severity: medium
-- remediation: Grant lambda:ListTags on the function; without it the tags cannot be judged.
-- grain: one row per function whose tags could not be read
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column error_code: error code of AWS
SELECT f.account_id, f.region, f.function_name, f.version, f.tags_error_code AS error_code
FROM functions AS f
WHERE f.version = '$LATEST'
  AND (f.tags_error_code IS NOT NULL OR f.tags_error_message IS NOT NULL)
