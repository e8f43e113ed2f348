SELECT
  "f"."account_id",
  "f"."region",
  "f"."function_name",
  "f"."version",
  "f"."runtime",
  "f"."package_type",
  "f"."code_sha256",
  "f"."code_size" AS "size_bytes",
  "p"."status",
  "p"."reason",
  "p"."path",
  COUNT(*) OVER (
    PARTITION BY COALESCE("f"."code_sha256", "f"."function_arn" || ':' || "f"."version")
  ) AS "sharing_versions"
FROM "lexport"."functions" AS "f"
LEFT JOIN "lexport"."packages" AS "p"
  ON "p"."code_sha256" = "f"."code_sha256"
ORDER BY
  "f"."account_id",
  "f"."region",
  "f"."function_name",
  "f"."version"
