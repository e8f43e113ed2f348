-- title: VPC function uses one subnet, so one Availability Zone
-- severity: medium
-- remediation: Add a subnet in another Availability Zone.
-- grain: one row per version in use: `$LATEST`, and versions that an alias sends traffic to; Availability Zones are not read, so two subnets of one zone pass
-- reference: Security Hub Lambda.5, AWS Config lambda-vpc-multi-az-check, Prowler awslambda_function_vpc_multi_az, Steampipe lambda_function_multiple_az_configured
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column subnet_id: its subnet
WITH routed AS (
  SELECT DISTINCT account_id, region, function_name, version
  FROM alias_routes
  WHERE weight > 0
), placed AS (
  SELECT account_id, region, function_name, version, COUNT(DISTINCT s.subnet_id) AS subnets, MIN(s.subnet_id) AS subnet_id
  FROM subnets AS s
  GROUP BY account_id, region, function_name, version
)
SELECT f.account_id, f.region, f.function_name, f.version, f.subnet_id
FROM placed AS f
LEFT JOIN routed AS r
  ON r.account_id = f.account_id
  AND r.region = f.region
  AND r.function_name = f.function_name
  AND r.version = f.version
WHERE (f.version = '$LATEST' OR r.version IS NOT NULL)
  AND f.subnets = 1
