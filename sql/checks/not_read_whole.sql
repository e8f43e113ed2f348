-- title: Account-region was not read whole
-- severity: high
-- remediation: See the view completeness for the error; grant the least policy of `lexport iam-policy`, or waive an account-region that lexport may not read.
-- grain: one row per account-region whose newest reading of the fleet is partial, denied or damaged
-- column account_id: account
-- column region: Region
-- column status: `partial` or `denied`; `damaged` if a newer snapshot cannot be read
-- column snapshot_id: newest snapshot that tried to read it
-- column last_whole_at: when it was last read whole; NULL if never
WITH newest AS (
  SELECT account_id, region, MAX(snapshot_id) AS snapshot_id
  FROM history.scopes
  WHERE coverage = 'fleet'
  GROUP BY account_id, region
)
SELECT s.account_id, s.region, s.status, s.snapshot_id, w.snapshot_at AS last_whole_at
FROM newest AS n
JOIN history.scopes AS s
  ON s.account_id = n.account_id
  AND s.region = n.region
  AND s.snapshot_id = n.snapshot_id
  AND s.coverage = 'fleet'
LEFT JOIN scopes AS w
  ON w.account_id = s.account_id
  AND w.region = s.region
WHERE s.status NOT IN ('complete', 'unavailable', 'retired')
  AND (s.region <> 'aws-global' OR NOT EXISTS ( -- it stands for unknown Regions until the account was read
    SELECT 1 FROM newest AS later WHERE later.account_id = s.account_id AND later.snapshot_id > s.snapshot_id
  ))
