-- title: Limits of the account-region could not be read
-- severity: low
-- remediation: Grant lambda:GetAccountSettings; without it code storage, reservations and the number of functions cannot be judged.
-- grain: one row per account-region without its limits
-- column account_id: account
-- column region: Region
SELECT s.account_id, s.region
FROM scopes AS s
WHERE s.function_count_reported IS NULL
