-- title: Packages
-- about: The packages that functions refer to, each counted once: which of them are stored beside the dataset.
-- empty: No package was looked at; lexport packages DEST fetches them.
SELECT
  status,
  COUNT(*) AS packages,
  SUM(size_bytes)::BIGINT AS packages_bytes,
  MIN(reason) AS example
FROM packages
GROUP BY status
ORDER BY packages DESC, status
