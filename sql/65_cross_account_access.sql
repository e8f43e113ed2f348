-- question: Which other accounts and organizations can use functions, directly or through an AWS service?
-- grain: one row per statement, principal, action and other account or organization that it names; grants to an organization have its id and no account
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column qualifier: `$LATEST` for the policy of the function itself, else the alias or version
-- column statement: index of the statement in the policy, from 0
-- column sid: id of the statement
-- column verdict: `cross_account`, `foreign_service_source`, `organization`, or `limited` to another account; a `?` means that a Deny may take it away
-- column other_account_id: account that the principal or the condition names; NULL for an organization
-- column organization_id: organization that the condition names; NULL for an account
-- column is_in_dataset: whether the dataset has functions of the other account; NULL for an organization
-- column principal_type: type of the principal
-- column principal: principal; a service is the one that the other account can direct at the function
-- column action: action of the statement
-- column action_class: what can be done, the worst first: `change`, `read code`, `invoke`, `other`
-- column condition_json: condition of the statement
WITH named AS (
  SELECT DISTINCT
    account_id,
    region,
    function_name,
    qualifier,
    statement,
    CASE
      WHEN key IN ('aws:sourceaccount', 'aws:sourceowner', 'aws:principalaccount') THEN value
      WHEN key IN ('aws:sourcearn', 'aws:principalarn') THEN NULLIF(SPLIT_PART(value, ':', 5), '')
    END AS other_account_id,
    CASE
      WHEN key IN ('aws:principalorgid', 'aws:principalorgpaths', 'aws:sourceorgid', 'aws:sourceorgpaths')
        THEN NULLIF(SPLIT_PART(value, '/', 1), '')
    END AS organization_id
  FROM policy_conditions
  WHERE is_limiting
), accounts AS (
  SELECT DISTINCT account_id
  FROM scopes
), grants AS (
  SELECT
    g.account_id,
    g.region,
    g.function_name,
    g.qualifier,
    g.statement,
    g.sid,
    g.verdict,
    COALESCE(g.principal_account_id, n.other_account_id) AS other_account_id,
    n.organization_id,
    g.principal_type,
    g.principal,
    g.action,
    g.action_class,
    g.condition_json,
    ROW_NUMBER() OVER (
      PARTITION BY
        g.account_id, g.region, g.function_name, g.qualifier, g.statement, g.principal_type, g.principal, g.action,
        n.other_account_id, n.organization_id
      ORDER BY g.class_rank, g.position, g.access
    ) AS place
  FROM policy_grants AS g
  LEFT JOIN named AS n
    ON n.account_id = g.account_id
    AND n.region = g.region
    AND n.function_name = g.function_name
    AND n.qualifier = g.qualifier
    AND n.statement = g.statement
    AND (
      (g.verdict IN ('foreign_service_source', 'foreign_service_source?', 'limited', 'limited?') AND n.other_account_id <> g.account_id)
      OR (g.verdict IN ('organization', 'organization?') AND n.organization_id IS NOT NULL)
    )
  WHERE g.verdict IN ('cross_account', 'cross_account?')
    OR (
      g.verdict IN ('foreign_service_source', 'foreign_service_source?', 'limited', 'limited?', 'organization', 'organization?')
      AND n.statement IS NOT NULL
    )
)
SELECT
  g.account_id,
  g.region,
  g.function_name,
  g.qualifier,
  g.statement,
  g.sid,
  g.verdict,
  g.other_account_id,
  g.organization_id,
  CASE
    WHEN g.other_account_id IS NULL THEN NULL
    WHEN a.account_id IS NULL THEN FALSE
    ELSE TRUE
  END AS is_in_dataset,
  g.principal_type,
  g.principal,
  g.action,
  g.action_class,
  g.condition_json
FROM grants AS g
LEFT JOIN accounts AS a
  ON a.account_id = g.other_account_id
WHERE g.place = 1
ORDER BY g.account_id, g.region, g.function_name, g.qualifier, g.statement, g.principal, g.action, g.other_account_id, g.organization_id
