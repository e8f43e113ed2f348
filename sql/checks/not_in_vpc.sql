-- title: Function is not in a VPC
-- severity: low
-- remediation: Connect the function to a VPC if it reaches private resources, or if all traffic has to pass your own network. It is no defect in itself.
-- default: off
-- grain: one row per function, by its `$LATEST`
-- reference: Prowler awslambda_function_inside_vpc, Security Hub Lambda.3, AWS Config lambda-inside-vpc, Steampipe lambda_function_in_vpc
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
SELECT f.account_id, f.region, f.function_name, f.version
FROM functions AS f
WHERE f.version = '$LATEST'
  AND COALESCE(f.vpc_config_vpc_id, '') = ''
  AND NOT EXISTS (
    SELECT 1
    FROM subnets AS s
    WHERE s.account_id = f.account_id
      AND s.region = f.region
      AND s.function_name = f.function_name
      AND s.version = f.version
  )
