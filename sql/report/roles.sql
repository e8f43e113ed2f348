-- title: Roles shared by functions
-- about: A role that many functions share has the permissions that any of them needs.
-- empty: No two functions share a role.
-- rows: 100
SELECT
  account_id,
  role,
  COUNT(*) AS functions,
  COUNT(DISTINCT region) AS regions
FROM functions
WHERE version = '$LATEST' AND role IS NOT NULL
GROUP BY account_id, role
HAVING COUNT(*) > 1
ORDER BY functions DESC, account_id, role
