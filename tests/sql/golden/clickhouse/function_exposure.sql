WITH "best_grants" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "verdict",
    "rank",
    "is_certain",
    "action_class",
    "sid",
    "statement",
    "principal_type",
    "principal",
    "action",
    "condition_json",
    ROW_NUMBER() OVER (
      PARTITION BY "account_id", "region", "function_name", "qualifier"
      ORDER BY "rank", CASE WHEN "is_certain" THEN 0 ELSE 1 END, "class_rank", CASE WHEN "access" = 'url' THEN 0 ELSE 1 END, "position", "access"
    ) AS "place",
    MAX(
      CASE WHEN "access" = 'url' AND "who" IN ('everyone', 'unclear') THEN 1 ELSE 0 END
    ) OVER (PARTITION BY "account_id", "region", "function_name", "qualifier") AS "opens_url"
  FROM "lexport"."policy_grants"
), "judged" AS (
  SELECT
    "t"."account_id" AS "account_id",
    "t"."region" AS "region",
    "t"."function_name" AS "function_name",
    "t"."qualifier" AS "qualifier",
    "t"."url_auth_type" AS "url_auth_type",
    "t"."function_url" AS "function_url",
    "t"."policy_status" AS "policy_status",
    "t"."url_status" AS "url_status",
    "t"."unread_versions" AS "unread_versions",
    CASE
      WHEN "t"."policy_status" <> 'read'
      THEN CASE WHEN "t"."url_auth_type" = 'NONE' THEN 'internet?' ELSE 'unread' END
      WHEN "t"."url_auth_type" = 'NONE' AND COALESCE("g"."opens_url", 0) = 0
      THEN 'url_broken'
      ELSE 'none'
    END AS "own_verdict",
    "g"."verdict" AS "verdict",
    "g"."rank" AS "rank",
    "g"."is_certain" AS "is_certain",
    "g"."action_class" AS "action_class",
    "g"."sid" AS "sid",
    "g"."statement" AS "statement",
    "g"."principal_type" AS "principal_type",
    "g"."principal" AS "principal",
    "g"."action" AS "action",
    "g"."condition_json" AS "condition_json"
  FROM "lexport"."exposure_targets" AS "t"
  LEFT JOIN "best_grants" AS "g"
    ON "g"."account_id" = "t"."account_id"
    AND "g"."region" = "t"."region"
    AND "g"."function_name" = "t"."function_name"
    AND "g"."qualifier" = "t"."qualifier"
    AND "g"."place" = 1
), "ranked" AS (
  SELECT
    "j"."account_id" AS "account_id",
    "j"."region" AS "region",
    "j"."function_name" AS "function_name",
    "j"."qualifier" AS "qualifier",
    "j"."url_auth_type" AS "url_auth_type",
    "j"."function_url" AS "function_url",
    "j"."policy_status" AS "policy_status",
    "j"."url_status" AS "url_status",
    "j"."unread_versions" AS "unread_versions",
    "j"."own_verdict" AS "own_verdict",
    "v"."rank" AS "own_rank",
    CASE
      WHEN "j"."rank" < "v"."rank" OR (
        "j"."rank" = "v"."rank" AND "j"."is_certain"
      )
      THEN 1
      ELSE 0
    END AS "is_of_grant",
    "j"."verdict" AS "verdict",
    "j"."rank" AS "rank",
    "j"."is_certain" AS "is_certain",
    "j"."action_class" AS "action_class",
    "j"."sid" AS "sid",
    "j"."statement" AS "statement",
    "j"."principal_type" AS "principal_type",
    "j"."principal" AS "principal",
    "j"."action" AS "action",
    "j"."condition_json" AS "condition_json"
  FROM "judged" AS "j"
  JOIN "lexport"."exposure_verdicts" AS "v"
    ON "v"."verdict" = CASE WHEN "j"."own_verdict" = 'internet?' THEN 'internet' ELSE "j"."own_verdict" END
)
SELECT
  "account_id",
  "region",
  "function_name",
  "qualifier",
  CASE WHEN "is_of_grant" = 1 THEN "verdict" ELSE "own_verdict" END AS "verdict",
  CASE WHEN "is_of_grant" = 1 THEN "rank" ELSE "own_rank" END AS "rank",
  CASE
    WHEN "is_of_grant" = 1
    THEN "is_certain"
    WHEN "own_verdict" IN ('internet?', 'unread')
    THEN FALSE
    ELSE TRUE
  END AS "is_certain",
  CASE WHEN "is_of_grant" = 1 THEN "action_class" END AS "action_class",
  CASE WHEN "is_of_grant" = 1 THEN "sid" END AS "sid",
  CASE WHEN "is_of_grant" = 1 THEN "statement" END AS "statement",
  CASE WHEN "is_of_grant" = 1 THEN "principal_type" END AS "principal_type",
  CASE WHEN "is_of_grant" = 1 THEN "principal" END AS "principal",
  CASE WHEN "is_of_grant" = 1 THEN "action" END AS "action",
  CASE WHEN "is_of_grant" = 1 THEN "condition_json" END AS "condition_json",
  "url_auth_type",
  "function_url",
  "policy_status",
  "url_status",
  "unread_versions"
FROM "ranked"
ORDER BY
  "account_id",
  "region",
  "function_name",
  "qualifier"
SETTINGS "join_use_nulls" = 1
