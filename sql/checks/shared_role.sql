-- title: Many functions share one role
-- severity: medium
-- remediation: Give each function its own role: each of these functions has the permissions that any of them needs.
-- grain: one row per role that many functions of an account-region have, by their `$LATEST`
-- threshold functions: 10 (functions): number of functions from which there is a finding
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
