SELECT
  'nodejs' AS "runtime",
  'Node.js' AS "language",
  FALSE AS "runs_on_arm64",
  FALSE AS "runs_snap_start",
  DATE('2016-08-30') AS "deprecation_date",
  DATE('2016-09-30') AS "block_create_date",
  DATE('2016-10-31') AS "block_update_date",
  'nodejs24.x' AS "successor"
UNION ALL
SELECT
  'nodejs4.3',
  'Node.js',
  FALSE,
  FALSE,
  DATE('2020-03-05'),
  DATE('2020-02-03'),
  DATE('2020-03-05'),
  'nodejs24.x'
UNION ALL
SELECT
  'nodejs4.3-edge',
  'Node.js',
  FALSE,
  FALSE,
  DATE('2020-03-05'),
  DATE('2019-03-31'),
  DATE('2019-04-30'),
  'nodejs24.x'
UNION ALL
SELECT
  'nodejs6.10',
  'Node.js',
  FALSE,
  FALSE,
  DATE('2019-08-12'),
  DATE('2019-07-12'),
  DATE('2019-08-12'),
  'nodejs24.x'
UNION ALL
SELECT
  'nodejs8.10',
  'Node.js',
  FALSE,
  FALSE,
  DATE('2020-03-06'),
  DATE('2020-02-04'),
  DATE('2020-03-06'),
  'nodejs24.x'
UNION ALL
SELECT
  'nodejs10.x',
  'Node.js',
  FALSE,
  FALSE,
  DATE('2021-07-30'),
  DATE('2021-07-30'),
  DATE('2022-02-14'),
  'nodejs24.x'
UNION ALL
SELECT
  'nodejs12.x',
  'Node.js',
  TRUE,
  FALSE,
  DATE('2023-03-31'),
  DATE('2023-03-31'),
  DATE('2023-04-30'),
  'nodejs24.x'
UNION ALL
SELECT
  'nodejs14.x',
  'Node.js',
  TRUE,
  FALSE,
  DATE('2023-12-04'),
  DATE('2024-01-09'),
  DATE('2027-03-03'),
  'nodejs24.x'
UNION ALL
SELECT
  'nodejs16.x',
  'Node.js',
  TRUE,
  FALSE,
  DATE('2024-06-12'),
  DATE('2027-02-01'),
  DATE('2027-03-03'),
  'nodejs24.x'
UNION ALL
SELECT
  'nodejs18.x',
  'Node.js',
  TRUE,
  FALSE,
  DATE('2025-09-01'),
  DATE('2027-02-01'),
  DATE('2027-03-03'),
  'nodejs24.x'
UNION ALL
SELECT
  'nodejs20.x',
  'Node.js',
  TRUE,
  FALSE,
  DATE('2026-04-30'),
  DATE('2027-02-01'),
  DATE('2027-03-03'),
  'nodejs24.x'
UNION ALL
SELECT
  'nodejs22.x',
  'Node.js',
  TRUE,
  FALSE,
  DATE('2027-04-30'),
  DATE('2027-06-01'),
  DATE('2027-07-01'),
  'nodejs24.x'
UNION ALL
SELECT
  'nodejs24.x',
  'Node.js',
  TRUE,
  FALSE,
  DATE('2028-04-30'),
  DATE('2028-06-01'),
  DATE('2028-07-01'),
  CAST(NULL AS TEXT)
UNION ALL
SELECT
  'nodejs26.x',
  'Node.js',
  TRUE,
  FALSE,
  DATE(NULL),
  DATE(NULL),
  DATE(NULL),
  CAST(NULL AS TEXT)
UNION ALL
SELECT
  'python2.7',
  'Python',
  FALSE,
  FALSE,
  DATE('2021-07-15'),
  DATE('2021-07-15'),
  DATE('2022-05-30'),
  'python3.14'
UNION ALL
SELECT
  'python3.6',
  'Python',
  FALSE,
  FALSE,
  DATE('2022-07-18'),
  DATE('2022-07-18'),
  DATE('2022-08-29'),
  'python3.14'
UNION ALL
SELECT
  'python3.7',
  'Python',
  FALSE,
  FALSE,
  DATE('2023-12-04'),
  DATE('2024-01-09'),
  DATE('2027-03-03'),
  'python3.14'
UNION ALL
SELECT
  'python3.8',
  'Python',
  TRUE,
  FALSE,
  DATE('2024-10-14'),
  DATE('2027-02-01'),
  DATE('2027-03-03'),
  'python3.14'
UNION ALL
SELECT
  'python3.9',
  'Python',
  TRUE,
  FALSE,
  DATE('2025-12-15'),
  DATE('2027-02-01'),
  DATE('2027-03-03'),
  'python3.14'
UNION ALL
SELECT
  'python3.10',
  'Python',
  TRUE,
  FALSE,
  DATE('2026-10-31'),
  DATE('2027-02-01'),
  DATE('2027-03-03'),
  'python3.14'
UNION ALL
SELECT
  'python3.11',
  'Python',
  TRUE,
  FALSE,
  DATE('2027-06-30'),
  DATE('2027-07-31'),
  DATE('2027-08-31'),
  'python3.14'
UNION ALL
SELECT
  'python3.12',
  'Python',
  TRUE,
  TRUE,
  DATE('2028-10-31'),
  DATE('2028-11-30'),
  DATE('2029-01-10'),
  'python3.14'
UNION ALL
SELECT
  'python3.13',
  'Python',
  TRUE,
  TRUE,
  DATE('2029-06-30'),
  DATE('2029-07-31'),
  DATE('2029-08-31'),
  'python3.14'
UNION ALL
SELECT
  'python3.14',
  'Python',
  TRUE,
  TRUE,
  DATE('2029-06-30'),
  DATE('2029-07-31'),
  DATE('2029-08-31'),
  CAST(NULL AS TEXT)
UNION ALL
SELECT
  'python3.15',
  'Python',
  TRUE,
  TRUE,
  DATE(NULL),
  DATE(NULL),
  DATE(NULL),
  CAST(NULL AS TEXT)
UNION ALL
SELECT
  'java8',
  'Java',
  FALSE,
  FALSE,
  DATE('2024-01-08'),
  DATE('2024-02-08'),
  DATE('2027-03-03'),
  'java25'
UNION ALL
SELECT
  'java8.al2',
  'Java',
  TRUE,
  FALSE,
  DATE('2027-06-30'),
  DATE('2027-07-31'),
  DATE('2027-08-31'),
  'java25'
UNION ALL
SELECT
  'java8.al2023',
  'Java',
  TRUE,
  FALSE,
  DATE('2029-06-30'),
  DATE('2029-07-31'),
  DATE('2029-08-31'),
  CAST(NULL AS TEXT)
UNION ALL
SELECT
  'java11',
  'Java',
  TRUE,
  TRUE,
  DATE('2027-06-30'),
  DATE('2027-07-31'),
  DATE('2027-08-31'),
  'java25'
UNION ALL
SELECT
  'java11.al2023',
  'Java',
  TRUE,
  TRUE,
  DATE('2029-06-30'),
  DATE('2029-07-31'),
  DATE('2029-08-31'),
  CAST(NULL AS TEXT)
UNION ALL
SELECT
  'java17',
  'Java',
  TRUE,
  TRUE,
  DATE('2027-06-30'),
  DATE('2027-07-31'),
  DATE('2027-08-31'),
  'java25'
UNION ALL
SELECT
  'java17.al2023',
  'Java',
  TRUE,
  TRUE,
  DATE('2029-06-30'),
  DATE('2029-07-31'),
  DATE('2029-08-31'),
  CAST(NULL AS TEXT)
UNION ALL
SELECT
  'java21',
  'Java',
  TRUE,
  TRUE,
  DATE('2029-06-30'),
  DATE('2029-07-31'),
  DATE('2029-08-31'),
  'java25'
UNION ALL
SELECT
  'java25',
  'Java',
  TRUE,
  TRUE,
  DATE('2029-06-30'),
  DATE('2029-07-31'),
  DATE('2029-08-31'),
  CAST(NULL AS TEXT)
UNION ALL
SELECT
  'dotnetcore1.0',
  '.NET',
  FALSE,
  FALSE,
  DATE('2019-06-27'),
  DATE('2019-06-30'),
  DATE('2019-07-30'),
  'dotnet10'
UNION ALL
SELECT
  'dotnetcore2.0',
  '.NET',
  FALSE,
  FALSE,
  DATE('2019-05-30'),
  DATE('2019-04-30'),
  DATE('2019-05-30'),
  'dotnet10'
UNION ALL
SELECT
  'dotnetcore2.1',
  '.NET',
  FALSE,
  FALSE,
  DATE('2022-01-05'),
  DATE('2022-01-05'),
  DATE('2022-04-13'),
  'dotnet10'
UNION ALL
SELECT
  'dotnetcore3.1',
  '.NET',
  TRUE,
  FALSE,
  DATE('2023-04-03'),
  DATE('2023-04-03'),
  DATE('2023-05-03'),
  'dotnet10'
UNION ALL
SELECT
  'dotnet6',
  '.NET',
  TRUE,
  FALSE,
  DATE('2024-12-20'),
  DATE('2027-02-01'),
  DATE('2027-03-03'),
  'dotnet10'
UNION ALL
SELECT
  'dotnet8',
  '.NET',
  TRUE,
  TRUE,
  DATE('2026-11-10'),
  DATE('2027-02-01'),
  DATE('2027-03-03'),
  'dotnet10'
UNION ALL
SELECT
  'dotnet10',
  '.NET',
  TRUE,
  TRUE,
  DATE('2028-11-14'),
  DATE('2028-12-14'),
  DATE('2029-01-15'),
  CAST(NULL AS TEXT)
UNION ALL
SELECT
  'go1.x',
  'Go',
  FALSE,
  FALSE,
  DATE('2024-01-08'),
  DATE('2024-02-08'),
  DATE('2027-03-03'),
  'provided.al2023'
UNION ALL
SELECT
  'ruby2.5',
  'Ruby',
  FALSE,
  FALSE,
  DATE('2021-07-30'),
  DATE('2021-07-30'),
  DATE('2022-03-31'),
  'ruby4.0'
UNION ALL
SELECT
  'ruby2.7',
  'Ruby',
  TRUE,
  FALSE,
  DATE('2023-12-07'),
  DATE('2024-01-09'),
  DATE('2027-03-03'),
  'ruby4.0'
UNION ALL
SELECT
  'ruby3.2',
  'Ruby',
  TRUE,
  FALSE,
  DATE('2026-03-31'),
  DATE('2027-02-01'),
  DATE('2027-03-03'),
  'ruby4.0'
UNION ALL
SELECT
  'ruby3.3',
  'Ruby',
  TRUE,
  FALSE,
  DATE('2027-03-31'),
  DATE('2027-04-30'),
  DATE('2027-05-31'),
  'ruby4.0'
UNION ALL
SELECT
  'ruby3.4',
  'Ruby',
  TRUE,
  FALSE,
  DATE('2028-03-31'),
  DATE('2028-04-30'),
  DATE('2028-05-31'),
  'ruby4.0'
UNION ALL
SELECT
  'ruby4.0',
  'Ruby',
  TRUE,
  FALSE,
  DATE('2029-03-31'),
  DATE('2029-04-30'),
  DATE('2029-05-31'),
  CAST(NULL AS TEXT)
UNION ALL
SELECT
  'provided',
  'OS only',
  FALSE,
  FALSE,
  DATE('2024-01-08'),
  DATE('2024-02-08'),
  DATE('2027-03-03'),
  'provided.al2023'
UNION ALL
SELECT
  'provided.al2',
  'OS only',
  TRUE,
  FALSE,
  DATE('2026-07-31'),
  DATE('2027-02-01'),
  DATE('2027-03-03'),
  'provided.al2023'
UNION ALL
SELECT
  'provided.al2023',
  'OS only',
  TRUE,
  FALSE,
  DATE('2029-06-30'),
  DATE('2029-07-31'),
  DATE('2029-08-31'),
  CAST(NULL AS TEXT)
