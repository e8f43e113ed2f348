WITH "numbered" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "version",
    ROW_NUMBER() OVER (
      PARTITION BY "account_id", "region", "function_name"
      ORDER BY LENGTH("version") DESC NULLS LAST, "version" DESC NULLS LAST
    ) AS "newness"
  FROM "lexport"."functions"
  WHERE
    "version" <> '$LATEST'
)
SELECT
  "a"."account_id",
  "a"."region",
  "a"."function_name",
  "a"."alias",
  "a"."function_version",
  "n"."version" AS "newest_version",
  CASE WHEN "a"."function_version" = '$LATEST' THEN 0 ELSE "o"."newness" - 1 END AS "versions_behind",
  CASE
    WHEN "a"."function_version" = '$LATEST'
    THEN 'latest'
    WHEN "o"."newness" = 1
    THEN 'newest'
    WHEN "o"."newness" > 1
    THEN 'behind'
    ELSE 'unknown'
  END AS "position",
  CASE
    WHEN "t"."code_sha256" = "f"."code_sha256"
    THEN TRUE
    WHEN "t"."code_sha256" <> "f"."code_sha256"
    THEN FALSE
  END AS "is_code_latest",
  "t"."runtime",
  "t"."last_modified_at" AS "version_modified_at",
  "f"."last_modified_at" AS "latest_modified_at",
  COALESCE("t"."function_arn", "f"."function_arn") AS "function_arn"
FROM "lexport"."aliases" AS "a"
LEFT JOIN "lexport"."functions" AS "t"
  ON "t"."account_id" = "a"."account_id"
  AND "t"."region" = "a"."region"
  AND "t"."function_name" = "a"."function_name"
  AND "t"."version" = "a"."function_version"
LEFT JOIN "lexport"."functions" AS "f"
  ON "f"."account_id" = "a"."account_id"
  AND "f"."region" = "a"."region"
  AND "f"."function_name" = "a"."function_name"
  AND "f"."version" = '$LATEST'
LEFT JOIN "numbered" AS "n"
  ON "n"."account_id" = "a"."account_id"
  AND "n"."region" = "a"."region"
  AND "n"."function_name" = "a"."function_name"
  AND "n"."newness" = 1
LEFT JOIN "numbered" AS "o"
  ON "o"."account_id" = "a"."account_id"
  AND "o"."region" = "a"."region"
  AND "o"."function_name" = "a"."function_name"
  AND "o"."version" = "a"."function_version"
ORDER BY
  "a"."account_id",
  "a"."region",
  "a"."function_name",
  "a"."alias"
