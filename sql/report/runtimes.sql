-- title: Runtimes by age
-- about: Every runtime in use with its dates, the earliest first. After its deprecation a runtime gets no security patches.
-- empty: There are no functions, so there are no runtimes.
SELECT
  COALESCE(runtime, CASE package_type WHEN 'Image' THEN 'container image' ELSE 'none stated' END) AS runtime,
  status,
  deprecation_date,
  block_create_date,
  block_update_date,
  successor,
  SUM(functions)::BIGINT AS functions,
  SUM(versions)::BIGINT AS versions
FROM runtimes_by_age
GROUP BY runtimes_by_age.runtime, package_type, status, deprecation_date, block_create_date, block_update_date, successor
ORDER BY deprecation_date NULLS LAST, functions DESC, runtime, status, package_type
