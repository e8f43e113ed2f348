-- question: Of which functions is it not known how much they are used, and why?
-- grain: one row per function whose use is not known as a whole; all functions of an account-region whose use was not read
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column reason: `not_read` (no --with usage, or denied), `failed` (an answer is missing), `not_listed` (the list of what was used lately is missing), `aliases_not_read` (not at all, or not all of the account-region) or `not_attributed` (aliases have more calls than the versions that are known to have run for them); with the last three, the use of the function is known, that of single versions is not
-- column message: what came back, for one of the answers that are missing; NULL if nothing came back
WITH failed AS (
  SELECT account_id, region, function_name, MIN(message) AS message
  FROM errors
  WHERE operation = 'GetMetricData'
  GROUP BY account_id, region, function_name
), unlisted AS (
  SELECT account_id, region, MIN(message) AS message
  FROM errors
  WHERE operation = 'ListMetrics'
  GROUP BY account_id, region
), routing_unread AS (
  SELECT s.account_id, s.region
  FROM scopes AS s
  LEFT JOIN scope_resources AS p
    ON p.account_id = s.account_id
    AND p.region = s.region
    AND p.resource = 'aliases'
  WHERE s.aliases IS NULL OR p.status <> 'complete'
), unattributed AS (
  SELECT DISTINCT account_id, region, function_name
  FROM unattributed_calls
), judged AS (
  SELECT
    f.account_id,
    f.region,
    f.function_name,
    CASE
      WHEN w.first_day IS NULL THEN 'not_read'
      WHEN o.message IS NOT NULL OR a.message IS NOT NULL THEN 'failed'
      WHEN u.message IS NOT NULL THEN 'not_listed'
      WHEN p.account_id IS NOT NULL THEN 'aliases_not_read'
      WHEN c.function_name IS NOT NULL THEN 'not_attributed'
    END AS reason,
    COALESCE(o.message, a.message, u.message) AS message
  FROM functions AS f
  LEFT JOIN usage_windows AS w
    ON w.account_id = f.account_id
    AND w.region = f.region
  LEFT JOIN failed AS o
    ON o.account_id = f.account_id
    AND o.region = f.region
    AND o.function_name = f.function_name
  LEFT JOIN failed AS a
    ON a.account_id = f.account_id
    AND a.region = f.region
    AND a.function_name IS NULL
  LEFT JOIN unlisted AS u
    ON u.account_id = f.account_id
    AND u.region = f.region
  LEFT JOIN routing_unread AS p
    ON p.account_id = f.account_id
    AND p.region = f.region
  LEFT JOIN unattributed AS c
    ON c.account_id = f.account_id
    AND c.region = f.region
    AND c.function_name = f.function_name
)
SELECT DISTINCT account_id, region, function_name, reason, message
FROM judged
WHERE reason IS NOT NULL
ORDER BY account_id, region, function_name
