SELECT
  'x86_64' AS "architecture",
  CAST(0.0000002 AS DOUBLE) AS "request_usd",
  CAST(0.0000166667 AS DOUBLE) AS "gb_second_usd",
  'us-east-1' AS "price_region",
  CAST('2026-05-11' AS DATE) AS "stated_on"
UNION ALL
SELECT
  'arm64',
  CAST(0.0000002 AS DOUBLE),
  CAST(0.0000133334 AS DOUBLE),
  'us-east-1',
  CAST('2026-05-11' AS DATE)
