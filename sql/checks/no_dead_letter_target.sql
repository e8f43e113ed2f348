-- title: Failed asynchronous events are dropped
-- severity: low
-- remediation: Set a dead-letter queue or an on-failure destination. Destinations are in event_invoke_configs and are not judged here: waive the function if it has one.
-- grain: one row per function, by its `$LATEST`
-- reference: Prowler awslambda_function_no_dead_letter_queue, AWS Config lambda-dlq-check, Steampipe lambda_function_dead_letter_queue_configured
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
SELECT f.account_id, f.region, f.function_name, f.version
FROM functions AS f
WHERE f.version = '$LATEST'
  AND COALESCE(f.dead_letter_config_target_arn, '') = ''
