-- question: Which functions run on x86_64 although their runtime supports arm64, which costs less?
-- grain: one row per function whose $LATEST is a Zip on x86_64; without Lambda@Edge and Managed Instances
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column function_arn: ARN of the function
-- column runtime: runtime identifier
-- column memory_size: memory at run time, MB
-- column timeout: maximum duration, seconds
-- column code_size: size of its package, bytes
-- column layers: number of layers; each must support arm64 too
-- column role: execution role
-- column last_modified_at: last update
WITH attached AS (
  SELECT account_id, region, function_name, version, COUNT(*) AS layers
  FROM layers
  GROUP BY account_id, region, function_name, version
)
SELECT
  f.account_id,
  f.region,
  f.function_name,
  f.function_arn,
  f.runtime,
  f.memory_size,
  f.timeout,
  f.code_size,
  COALESCE(a.layers, 0) AS layers,
  f.role,
  f.last_modified_at
FROM functions AS f
JOIN lambda_runtimes AS l
  ON l.runtime = f.runtime
LEFT JOIN attached AS a
  ON a.account_id = f.account_id
  AND a.region = f.region
  AND a.function_name = f.function_name
  AND a.version = f.version
WHERE f.version = '$LATEST'
  AND f.package_type = 'Zip'
  AND f.architecture = 'x86_64'
  AND l.runs_on_arm64
  AND f.runtime_config_runtime_arn IS NULL
  AND f.master_arn IS NULL
  AND f.capacity_provider_arn IS NULL
ORDER BY f.memory_size DESC, f.account_id, f.region, f.function_name
