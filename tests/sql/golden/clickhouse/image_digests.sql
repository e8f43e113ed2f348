SELECT
  "account_id",
  "region",
  COALESCE("code_resolved_image_uri", "code_image_uri") AS "image",
  MIN("code_image_uri") AS "image_uri",
  COUNT(DISTINCT "code_image_uri") AS "image_uris",
  COUNT(CASE WHEN "version" = '$LATEST' THEN 1 END) AS "latest_functions",
  COUNT(DISTINCT "function_name") AS "functions",
  COUNT(*) AS "versions",
  MAX("last_modified_at") AS "last_modified_at"
FROM "lexport"."functions"
WHERE
  "package_type" = 'Image'
GROUP BY
  "account_id",
  "region",
  COALESCE("code_resolved_image_uri", "code_image_uri")
ORDER BY
  "functions" DESC,
  "account_id",
  "region",
  "image"
