-- title: Changes by part
-- about: The newest whole reading of each account-region, compared with the one before. Incomplete readings are not compared, so a function that was not read does not look deleted.
-- empty: Nothing changed.
SELECT
  table_name,
  COUNT(CASE WHEN kind = 'added' THEN 1 END) AS added,
  COUNT(CASE WHEN kind = 'removed' THEN 1 END) AS removed,
  COUNT(CASE WHEN kind = 'changed' THEN 1 END) AS changed,
  COUNT(DISTINCT account_id || ':' || region) AS account_regions
FROM changes
GROUP BY table_name
ORDER BY COUNT(*) DESC, table_name
