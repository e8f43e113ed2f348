-- title: Night by night
-- about: Each day shows the last whole reading of every account-region until then, so a failed night leaves no gap. Calls and errors are those of the day.
-- empty: No account-region was ever read whole, so there is no trend.
-- rows: 400
WITH tries AS (
  SELECT
    CAST(snapshot_at AS DATE) AS day,
    SUM(COALESCE(get_function_calls, 0) + COALESCE(list_calls, 0))::BIGINT AS calls,
    SUM(COALESCE(throttles, 0))::BIGINT AS throttles
  FROM history.scopes
  WHERE status <> 'retired'
  GROUP BY day
), problems AS (
  SELECT CAST(snapshot_at AS DATE) AS day, COUNT(*) AS errors, COUNT(CASE WHEN is_gap THEN 1 END) AS gaps
  FROM history.errors
  GROUP BY day
), readings AS (
  SELECT
    account_id,
    region,
    CAST(s.snapshot_at AS DATE) AS day,
    MAX_BY(s.status, s.snapshot_id) AS status,
    MAX_BY(s.functions, s.snapshot_id) AS functions,
    MAX_BY(s.versions, s.snapshot_id) AS versions,
    MAX_BY(a.code_size_used, s.snapshot_id) AS code_bytes
  FROM history.scopes AS s
  LEFT JOIN history.account_settings AS a USING (snapshot_id, account_id, region)
  WHERE s.coverage = 'fleet' AND s.status IN ('complete', 'retired')
  GROUP BY account_id, region, CAST(s.snapshot_at AS DATE)
), evenings AS (
  SELECT t.day, p.account_id, p.region
  FROM tries AS t CROSS JOIN (SELECT DISTINCT account_id, region FROM readings) AS p
), known AS (
  SELECT
    e.day,
    COUNT(CASE WHEN r.status = 'complete' THEN 1 END) AS account_regions,
    COUNT(CASE WHEN r.status = 'complete' AND r.day = e.day THEN 1 END) AS read_that_day,
    SUM(COALESCE(r.functions, 0))::BIGINT AS functions,
    SUM(COALESCE(r.versions, 0))::BIGINT AS versions,
    SUM(r.code_bytes)::BIGINT AS code_bytes
  FROM evenings AS e
  ASOF JOIN readings AS r ON r.account_id = e.account_id AND r.region = e.region AND r.day <= e.day
  GROUP BY e.day
)
SELECT
  k.day,
  k.functions,
  k.versions,
  k.code_bytes,
  COALESCE(p.errors, 0) AS errors,
  COALESCE(p.gaps, 0) AS gaps,
  t.calls,
  t.throttles,
  k.read_that_day,
  k.account_regions
FROM known AS k
JOIN tries AS t USING (day)
LEFT JOIN problems AS p USING (day)
ORDER BY k.day DESC
