-- title: Changes, night by night
-- about: What each night found other than the night before.
-- empty: No snapshot has been compared with one before it.
-- rows: 400
SELECT
  CAST(snapshot_at AS DATE) AS day,
  COUNT(CASE WHEN kind = 'added' THEN 1 END) AS added,
  COUNT(CASE WHEN kind = 'removed' THEN 1 END) AS removed,
  COUNT(CASE WHEN kind = 'changed' THEN 1 END) AS changed
FROM history.changes
GROUP BY day
ORDER BY day DESC
