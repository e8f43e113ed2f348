-- title: Names of accounts
-- about: The newest name of each account, of the runs that listed the organization.
-- empty: No run listed the organization.
-- rows: 100000
SELECT account_id, MAX_BY(account_name, snapshot_at) AS account_name
FROM history.scopes
WHERE account_name IS NOT NULL
GROUP BY account_id
ORDER BY account_id
