-- title: Lacks a required tag
-- severity: medium
-- remediation: Add a tag with this key. Keys are case-sensitive.
-- grain: one row per function and missing key, by its `$LATEST`; only if keys are set; for unreadable tags see tags_unreadable
-- threshold keys: [] (tag keys): keys that every function must have
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column subject: missing key
SELECT f.account_id, f.region, f.function_name, f.version, i.item AS subject
FROM functions AS f
CROSS JOIN threshold_items AS i
LEFT JOIN tags AS g
  ON g.account_id = f.account_id
  AND g.region = f.region
  AND g.function_name = f.function_name
  AND g.key = i.item
WHERE f.version = '$LATEST'
  AND i.name = 'keys'
  AND f.tags_error_code IS NULL
  AND f.tags_error_message IS NULL
  AND g.key IS NULL
