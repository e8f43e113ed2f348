-- title: Can be used by another account
-- severity: medium
-- remediation: Remove the statement, or add the account to trusted_accounts.
-- grain: one row per statement, principal and other account that the principal, or a condition with a fixed value, names
-- threshold trusted_accounts: [] (account ids): accounts that are accepted
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` for the function itself, else the alias or version
-- column subject: other account
-- column principal: principal
-- column action_class: what can be done, the worst first: `change`, `read code`, `invoke`, `other`
-- column sid: id of the statement
-- column statement: index of the statement in the policy, from 0
-- column is_in_dataset: whether the dataset has the other account
SELECT DISTINCT
  c.account_id,
  c.region,
  c.function_name,
  c.qualifier AS version,
  c.other_account_id AS subject,
  c.principal,
  c.action_class,
  c.sid,
  c.statement,
  c.is_in_dataset
FROM cross_account_access AS c
WHERE c.verdict IN ('cross_account', 'cross_account?', 'limited', 'limited?')
  AND NOT EXISTS (
    SELECT 1 FROM threshold_items AS i
    WHERE i.name = 'trusted_accounts' AND i.item = c.other_account_id
  )
