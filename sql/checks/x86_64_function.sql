-- title: Runs on x86_64 although its runtime supports arm64
-- severity: low
-- remediation: Try arm64, which costs a fifth less for the same memory. First check that packages and layers contain no x86_64 code.
-- grain: one row per function, by its `$LATEST`; zip packages on supported language runtimes that run on arm64; without Lambda@Edge and Managed Instances
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column runtime: runtime identifier
SELECT f.account_id, f.region, f.function_name, f.version, f.runtime
FROM functions AS f
JOIN lambda_runtimes AS l
  ON l.runtime = f.runtime
WHERE f.version = '$LATEST'
  AND f.package_type = 'Zip'
  AND f.architecture = 'x86_64'
  AND f.runtime_config_runtime_arn IS NULL
  AND f.master_arn IS NULL
  AND f.capacity_provider_arn IS NULL
  AND l.runs_on_arm64
  AND l.language <> 'OS only'
  AND (l.deprecation_date IS NULL OR l.deprecation_date > CAST(f.snapshot_at AS DATE))
