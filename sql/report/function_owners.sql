-- title: Owners of functions
-- about: The owner of each function by a tag; NULL where the function has no such tag.
-- empty: There are no functions.
-- rows: 1000000
SELECT
  f.account_id,
  f.region,
  f.function_name,
  MAX(t.value) AS owner,
  MAX(f.tags_error_code) AS tags_error_code
FROM functions AS f
LEFT JOIN tags AS t
  ON t.account_id = f.account_id
  AND t.region = f.region
  AND t.function_name = f.function_name
  AND t.key = $owner_tag
GROUP BY f.account_id, f.region, f.function_name
