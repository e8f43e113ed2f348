-- title: Code storage is near its limit
-- severity: medium
-- remediation: Delete versions that no alias points to. At the limit every deployment fails.
-- grain: one row per account-region; if its limits are unknown, see account_settings_unreadable
-- threshold share: 0.8 (share of the limit): use from which there is a finding
-- column account_id: account
-- column region: Region
-- column code_size_used: bytes in use
-- column code_size_limit: bytes allowed
SELECT a.account_id, a.region, a.code_size_used, a.code_size_limit
FROM account_settings AS a
CROSS JOIN thresholds AS t
WHERE a.code_size_used >= t.share * a.code_size_limit
