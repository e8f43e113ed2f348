SELECT
  1 AS "rank",
  'internet' AS "verdict",
  'anybody, without credentials, by the function URL' AS "who"
UNION ALL
SELECT
  2,
  'any_aws_account',
  'everybody with an AWS account, in the Lambda API'
UNION ALL
SELECT
  3,
  'any_aws_account_via_url',
  'everybody with an AWS account, by the function URL alone'
UNION ALL
SELECT
  4,
  'public?',
  'perhaps everybody: the policy cannot be judged'
UNION ALL
SELECT
  5,
  'unknown',
  'a principal of a kind that Lambda does not document, such as Federated'
UNION ALL
SELECT
  6,
  'confused_deputy',
  'an AWS service for any account: others can direct the service at the function'
UNION ALL
SELECT
  7,
  'foreign_service_source',
  'an AWS service for a resource of another account'
UNION ALL
SELECT
  8,
  'service_weak',
  'Amazon S3 for a bucket whose owner is not checked: whoever creates a bucket of that name can call'
UNION ALL
SELECT
  9,
  'cross_account',
  'another account, or a user or role of it'
UNION ALL
SELECT
  10,
  'latent',
  'nobody yet; everybody as soon as somebody creates the fitting function URL'
UNION ALL
SELECT
  11,
  'url_broken',
  'nobody by the function URL, which answers 403: one of the two permissions is missing'
UNION ALL
SELECT
  12,
  'organization',
  'the accounts of one organization, yours or another'
UNION ALL
SELECT
  13,
  'limited',
  'whom a condition with a fixed value lets in'
UNION ALL
SELECT
  14,
  'dead_principal',
  'nobody: the user or role was deleted, and only its unique id is left'
UNION ALL
SELECT
  15,
  'own_service',
  'an AWS service for a resource of the own account'
UNION ALL
SELECT
  16,
  'own_account',
  'the own account, or a user or role of it'
UNION ALL
SELECT
  17,
  'unread',
  'unknown: the policy was not read'
UNION ALL
SELECT
  18,
  'none',
  'nobody by a policy; identities of the own account by their own policies'
