-- question: What does Lambda cost?
-- grain: one row per architecture; those of data/lambda_prices.csv, which has source and date of each line
-- column architecture: `x86_64` or `arm64`
-- column request_usd: price of one request
-- column gb_second_usd: price of one second with 1 GB of memory, in the first tier of a month
-- column price_region: Region of these prices; some Regions cost more
-- column stated_on: day on which the source had these prices
SELECT
  'x86_64' AS architecture,
  CAST(0.0000002 AS DOUBLE) AS request_usd,
  CAST(0.0000166667 AS DOUBLE) AS gb_second_usd,
  'us-east-1' AS price_region,
  CAST('2026-05-11' AS DATE) AS stated_on
UNION ALL
SELECT
  'arm64',
  CAST(0.0000002 AS DOUBLE),
  CAST(0.0000133334 AS DOUBLE),
  'us-east-1',
  CAST('2026-05-11' AS DATE)
