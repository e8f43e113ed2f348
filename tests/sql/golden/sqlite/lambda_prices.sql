SELECT
  'x86_64' AS "architecture",
  CAST(0.0000002 AS REAL) AS "request_usd",
  CAST(0.0000166667 AS REAL) AS "gb_second_usd",
  'us-east-1' AS "price_region",
  DATE('2026-05-11') AS "stated_on"
UNION ALL
SELECT
  'arm64',
  CAST(0.0000002 AS REAL),
  CAST(0.0000133334 AS REAL),
  'us-east-1',
  DATE('2026-05-11')
