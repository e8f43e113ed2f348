-- title: Packages
-- about: The packages that functions refer to, each counted once, and whether they are stored in the dataset.
-- empty: No package was downloaded yet; lexport packages DEST downloads them.
SELECT
  status,
  COUNT(*) AS packages,
  SUM(size_bytes)::BIGINT AS packages_bytes,
  MIN(reason) AS example
FROM packages
GROUP BY status
ORDER BY packages DESC, status
