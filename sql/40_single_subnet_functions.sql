-- question: Which functions depend on one subnet, and so on one Availability Zone?
-- grain: one row per function version in a VPC with a single subnet
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column function_arn: ARN of the function
-- column vpc_id: its VPC
-- column subnet_id: its only subnet
-- column runtime: runtime identifier; NULL for images
-- column last_modified_at: last update of the version
WITH counted AS (
  SELECT account_id, region, function_name, version, MIN(s.subnet_id) AS subnet_id
  FROM subnets AS s
  GROUP BY account_id, region, function_name, version
  HAVING COUNT(DISTINCT s.subnet_id) = 1
)
SELECT
  c.account_id,
  c.region,
  c.function_name,
  c.version,
  f.function_arn,
  f.vpc_config_vpc_id AS vpc_id,
  c.subnet_id,
  f.runtime,
  f.last_modified_at
FROM counted AS c
LEFT JOIN functions AS f
  ON f.account_id = c.account_id
  AND f.region = c.region
  AND f.function_name = c.function_name
  AND f.version = c.version
ORDER BY c.account_id, c.region, c.function_name, c.version
