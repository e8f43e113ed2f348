SELECT
  'x86_64' AS "architecture",
  CAST(0.0000002 AS Nullable(Float64)) AS "request_usd",
  CAST(0.0000166667 AS Nullable(Float64)) AS "gb_second_usd",
  'us-east-1' AS "price_region",
  CAST('2026-05-11' AS Nullable(DATE)) AS "stated_on"
UNION ALL
SELECT
  'arm64',
  CAST(0.0000002 AS Nullable(Float64)),
  CAST(0.0000133334 AS Nullable(Float64)),
  'us-east-1',
  CAST('2026-05-11' AS Nullable(DATE))
