-- title: AWS reports another number of functions than were listed
-- severity: low
-- remediation: Compare with the next snapshot: a deployment during the run causes it once, a function that is not listed every time.
-- grain: one row per account-region; if AWS did not report its number, see account_settings_unreadable
-- column account_id: account
-- column region: Region
-- column functions: number of functions read
-- column reported: number of functions that AWS reports
SELECT s.account_id, s.region, s.functions, s.function_count_reported AS reported
FROM scopes AS s
WHERE s.function_count_reported <> s.functions
