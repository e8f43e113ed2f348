-- title: Changes, night by night
-- about: The differences of each snapshot from the one before.
-- empty: No snapshot has been compared with an earlier one.
-- rows: 400
SELECT
  CAST(snapshot_at AS DATE) AS day,
  COUNT(CASE WHEN kind = 'added' THEN 1 END) AS added,
  COUNT(CASE WHEN kind = 'removed' THEN 1 END) AS removed,
  COUNT(CASE WHEN kind = 'changed' THEN 1 END) AS changed
FROM history.changes
GROUP BY day
ORDER BY day DESC
