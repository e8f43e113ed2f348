-- title: Reservations leave little of the concurrency limit
-- severity: medium
-- remediation: Lower reservations or request a higher limit: all functions without a reservation share the rest.
-- grain: one row per account-region; if its limits are unknown, see account_settings_unreadable
-- threshold share: 0.8 (share of the limit): reserved share from which there is a finding
-- column account_id: account
-- column region: Region
-- column unreserved_concurrent_executions: concurrency that is not reserved
-- column concurrent_executions_limit: limit of the account-region
SELECT a.account_id, a.region, a.unreserved_concurrent_executions, a.concurrent_executions_limit
FROM account_settings AS a
CROSS JOIN thresholds AS t
WHERE a.concurrent_executions_limit - a.unreserved_concurrent_executions >= t.share * a.concurrent_executions_limit
