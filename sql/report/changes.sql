-- title: What changed, by table
-- about: Each account-region's newest whole reading against the one before. Only what both of them read whole is compared, so that nothing looks deleted that was merely not read.
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
