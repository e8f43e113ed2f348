-- question: Which functions, aliases and versions can everybody use, or perhaps everybody?
-- grain: one row per function, alias or version whose verdict in function_exposure is `internet`, `any_aws_account`, `any_aws_account_via_url` or `public?`, the worst first
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column qualifier: `$LATEST` for the function itself, else the alias or version
-- column verdict: who can use it; a `?` means that it is not certain
-- column action_class: what can be done, the worst first: `change`, `read code`, `invoke`, `other`
-- column sid: id of the statement that decides; NULL if none does
-- column statement: index of that statement in the policy, from 0
-- column action: its action
-- column condition_json: its condition
-- column url_auth_type: `NONE` or `AWS_IAM`; NULL where there is no URL, or where URLs were not read
-- column function_url: function URL
-- column function_arn: ARN of the function, alias or version
-- column runtime: runtime identifier of the function; NULL for images
-- column role: execution role of the function
-- column last_modified_at: last update of the function
SELECT
  e.account_id,
  e.region,
  e.function_name,
  e.qualifier,
  e.verdict,
  e.action_class,
  e.sid,
  e.statement,
  e.action,
  e.condition_json,
  e.url_auth_type,
  e.function_url,
  f.function_arn || CASE WHEN e.qualifier = '$LATEST' THEN '' ELSE ':' || e.qualifier END AS function_arn,
  f.runtime,
  f.role,
  f.last_modified_at
FROM function_exposure AS e
LEFT JOIN functions AS f
  ON f.account_id = e.account_id
  AND f.region = e.region
  AND f.function_name = e.function_name
  AND f.version = '$LATEST'
WHERE e.rank <= 4
ORDER BY e.rank, e.is_certain DESC, e.account_id, e.region, e.function_name, e.qualifier
