-- title: Many functions share one role
-- severity: medium
-- remediation: Give each function a role of its own with what it needs: each of these can do what any of them needs.
-- grain: one row per role that at least so many functions of an account-region have, by their `$LATEST`
-- threshold functions: 10 (functions): how many are too many
-- column account_id: account
-- column region: Region
-- column subject: ARN of the role
-- column functions: functions that have it
WITH shared AS (
  SELECT account_id, region, role, COUNT(*) AS functions
  FROM functions
  WHERE version = '$LATEST'
    AND role IS NOT NULL
  GROUP BY account_id, region, role
)
SELECT s.account_id, s.region, s.role AS subject, s.functions
FROM shared AS s
CROSS JOIN thresholds AS t
WHERE s.functions >= t.functions
