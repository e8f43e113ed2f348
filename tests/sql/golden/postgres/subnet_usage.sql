SELECT
  "t"."account_id",
  "t"."region",
  MAX("f"."vpc_config_vpc_id") AS "vpc_id",
  "t"."subnet_id",
  COUNT(CASE WHEN "t"."version" = '$LATEST' THEN 1 END) AS "latest_functions",
  COUNT(DISTINCT "t"."function_name") AS "functions",
  COUNT(*) AS "versions"
FROM "lexport"."subnets" AS "t"
LEFT JOIN "lexport"."functions" AS "f"
  ON "f"."account_id" = "t"."account_id"
  AND "f"."region" = "t"."region"
  AND "f"."function_name" = "t"."function_name"
  AND "f"."version" = "t"."version"
GROUP BY
  "t"."account_id",
  "t"."region",
  "t"."subnet_id"
ORDER BY
  "functions" DESC NULLS LAST,
  "t"."account_id",
  "t"."region",
  "t"."subnet_id"
