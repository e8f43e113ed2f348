-- title: Function does not use Lambda Insights
-- severity: low
-- remediation: Add the layer LambdaInsightsExtension, and let the role write to CloudWatch, for functions that need metrics of memory and CPU. It costs money.
-- default: off
-- grain: one row per function, by its `$LATEST`; images, which contain the extension instead of a layer, are not judged
-- reference: Steampipe lambda_function_cloudwatch_insights_enabled
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
SELECT f.account_id, f.region, f.function_name, f.version
FROM functions AS f
WHERE f.version = '$LATEST'
  AND COALESCE(f.package_type, 'Zip') <> 'Image'
  AND NOT EXISTS (
    SELECT 1
    FROM layers AS y
    WHERE y.account_id = f.account_id
      AND y.region = f.region
      AND y.function_name = f.function_name
      AND y.version = f.version
      AND y.layer_arn LIKE '%:layer:LambdaInsightsExtension%'
  )
