-- question: Which event source mappings lead to functions, aliases or versions that do not exist any more?
-- grain: one row per such event source mapping; one row with `unread` as what is missing per account and region whose mappings were not read whole
-- column account_id: account
-- column region: Region
-- column function_name: function that the mapping names; NULL in rows with `unread`
-- column qualifier: `$LATEST` for the function itself, else the alias or version
-- column uuid: event source mapping
-- column missing: `function`, `alias` or `version`; `unread`
-- column event_source_type: kind of the event source
-- column event_source_arn: event source; NULL for self-managed Kafka
-- column state: state of the mapping; for `unread`, the status of the resource
-- column last_modified_at: last change of settings or state
WITH listed AS (
  SELECT
    account_id,
    region,
    COUNT(CASE WHEN version = '$LATEST' THEN 1 END) AS latest_rows,
    COUNT(CASE WHEN version <> '$LATEST' THEN 1 END) AS published_rows
  FROM functions
  GROUP BY account_id, region
), scope AS (
  SELECT
    s.account_id,
    s.region,
    CASE WHEN COALESCE(l.latest_rows, 0) > 0 OR s.function_count_reported = 0 THEN 1 ELSE 0 END AS knows_functions,
    CASE WHEN s.aliases IS NOT NULL THEN 1 ELSE 0 END AS knows_aliases,
    CASE WHEN COALESCE(l.published_rows, 0) > 0 THEN 1 ELSE 0 END AS knows_versions
  FROM scopes AS s
  LEFT JOIN listed AS l
    ON l.account_id = s.account_id
    AND l.region = s.region
), function_names AS (
  SELECT DISTINCT account_id, region, function_name
  FROM functions
), judged AS (
  SELECT
    m.account_id,
    m.region,
    m.function_name,
    m.qualifier,
    m.uuid,
    CASE
      WHEN f.function_name IS NULL AND s.knows_functions = 1 THEN 'function'
      WHEN f.function_name IS NULL OR m.qualifier = '$LATEST' OR v.version IS NOT NULL OR a.alias IS NOT NULL THEN NULL
      WHEN SUBSTR(m.qualifier, 1, 1) BETWEEN '0' AND '9' AND LENGTH(m.qualifier) < 9 AND s.knows_versions = 1 THEN 'version'
      WHEN SUBSTR(m.qualifier, 1, 1) NOT BETWEEN '0' AND '9' AND s.knows_aliases = 1 THEN 'alias'
    END AS missing,
    m.event_source_type,
    m.event_source_arn,
    m.state,
    m.last_modified_at
  FROM event_source_mappings AS m
  JOIN scope AS s
    ON s.account_id = m.account_id
    AND s.region = m.region
  LEFT JOIN function_names AS f
    ON f.account_id = m.account_id
    AND f.region = m.region
    AND f.function_name = m.function_name
  LEFT JOIN functions AS v
    ON v.account_id = m.account_id
    AND v.region = m.region
    AND v.function_name = m.function_name
    AND v.version = m.qualifier
  LEFT JOIN aliases AS a
    ON a.account_id = m.account_id
    AND a.region = m.region
    AND a.function_name = m.function_name
    AND a.alias = m.qualifier
  UNION ALL
  SELECT
    account_id,
    region,
    NULL AS function_name,
    NULL AS qualifier,
    NULL AS uuid,
    'unread' AS missing,
    NULL AS event_source_type,
    NULL AS event_source_arn,
    status,
    NULL AS last_modified_at
  FROM scope_resources
  WHERE resource = 'event-sources' AND status NOT IN ('complete', 'unavailable')
)
SELECT
  account_id,
  region,
  function_name,
  qualifier,
  uuid,
  missing,
  event_source_type,
  event_source_arn,
  state,
  last_modified_at
FROM judged
WHERE missing IS NOT NULL
ORDER BY account_id, region, missing, function_name, uuid
