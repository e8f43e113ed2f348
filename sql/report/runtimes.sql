-- title: Runtimes by age
-- about: Every runtime in use, the one that ends first on top, with AWS's dates for it. After its deprecation a runtime gets no more security patches.
-- empty: There is no function, so there is no runtime.
SELECT
  COALESCE(runtime, CASE package_type WHEN 'Image' THEN 'container image' ELSE 'none stated' END) AS runtime,
  status,
  MIN(days_left) AS days_left,
  deprecation_date,
  block_create_date,
  block_update_date,
  successor,
  SUM(functions)::BIGINT AS functions,
  SUM(versions)::BIGINT AS versions
FROM runtimes_by_age
GROUP BY runtimes_by_age.runtime, package_type, status, deprecation_date, block_create_date, block_update_date, successor
ORDER BY deprecation_date NULLS LAST, functions DESC, runtime, status, package_type
