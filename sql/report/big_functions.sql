-- title: Functions by storage
-- about: The size of the packages of all versions of a function; each package counts once.
-- empty: There are no functions.
-- rows: 100
SELECT
  account_id,
  region,
  function_name,
  versions,
  distinct_code_size AS packages_bytes,
  prunable_versions,
  bytes_freed AS prunable_bytes,
  last_modified_at
FROM code_storage_by_function
ORDER BY packages_bytes DESC, account_id, region, function_name
