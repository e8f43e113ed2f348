-- title: Exposed functions
-- about: Functions, aliases and versions that others than named accounts can use, or may be able to, the worst first, with the statement that decides.
-- empty: No policy that was read opens a function to the public, to every AWS account or to a service on behalf of others.
SELECT
  verdict,
  account_id,
  region,
  function_name,
  qualifier,
  action_class,
  principal,
  sid,
  condition_json
FROM function_exposure
WHERE rank < (SELECT rank FROM exposure_verdicts WHERE verdict = 'cross_account')
ORDER BY rank, is_certain DESC, account_id, region, function_name, qualifier
