-- title: Who can use the functions
-- about: Functions with their aliases and versions, by the worst that a policy or a function URL allows. A question mark means that a condition may take the access away. SCPs, RCPs and an API in front are not in any policy of a function.
-- empty: There are no functions whose policies were read.
SELECT
  e.verdict,
  v.who AS who_can_use,
  COUNT(DISTINCT (e.account_id, e.region, e.function_name)) AS functions,
  COUNT(*) AS policies_judged
FROM function_exposure AS e
JOIN exposure_verdicts AS v ON v.rank = e.rank
WHERE NOT (e.verdict = 'unread' AND e.policy_status = 'not_requested')
GROUP BY e.rank, e.is_certain, e.verdict, v.who
ORDER BY e.rank, e.is_certain DESC
