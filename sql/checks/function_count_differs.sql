-- title: AWS counts other functions than the listing showed
-- severity: low
-- remediation: Compare with the next snapshot: a deploy during the run explains it once, a hidden function every time.
-- grain: one row per account-region; where AWS did not tell its count, account_settings_unreadable says so
-- column account_id: account
-- column region: Region
-- column functions: functions read
-- column reported: functions that AWS counts
SELECT s.account_id, s.region, s.functions, s.function_count_reported AS reported
FROM scopes AS s
WHERE s.function_count_reported <> s.functions
