-- title: Reservations leave little of the concurrency limit
-- severity: medium
-- remediation: Lower reservations or ask for a higher limit: all functions without one share what is left.
-- grain: one row per account-region; where the limits are unknown, account_settings_unreadable says so
-- threshold share: 0.8 (share of the limit): reserved part from which to say so
-- column account_id: account
-- column region: Region
-- column unreserved_concurrent_executions: what reservations leave
-- column concurrent_executions_limit: the limit
SELECT a.account_id, a.region, a.unreserved_concurrent_executions, a.concurrent_executions_limit
FROM account_settings AS a
CROSS JOIN thresholds AS t
WHERE a.concurrent_executions_limit - a.unreserved_concurrent_executions >= t.share * a.concurrent_executions_limit
