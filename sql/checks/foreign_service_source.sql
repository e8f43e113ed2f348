-- title: Lets in an AWS service for a resource of another account
-- severity: high
-- remediation: Correct the account in the condition, or add it to trusted_accounts.
-- grain: one row per statement, service and other account that its condition names
-- threshold trusted_accounts: [] (account ids): accounts whose resources are accepted
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` for the function itself, else the alias or version
-- column subject: other account
-- column principal: service
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
  c.sid,
  c.statement,
  c.is_in_dataset
FROM cross_account_access AS c
WHERE c.verdict IN ('foreign_service_source', 'foreign_service_source?')
  AND NOT EXISTS (
    SELECT 1 FROM threshold_items AS i
    WHERE i.name = 'trusted_accounts' AND i.item = c.other_account_id
  )
