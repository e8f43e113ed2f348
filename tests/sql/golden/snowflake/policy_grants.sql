WITH "PARTITIONS" AS (
  SELECT DISTINCT
    "REGION",
    CASE
      WHEN "REGION" LIKE 'cn-%'
      THEN 'aws-cn'
      WHEN "REGION" LIKE 'us-gov-%'
      THEN 'aws-us-gov'
      WHEN "REGION" LIKE 'us-iso-%'
      THEN 'aws-iso'
      WHEN "REGION" LIKE 'us-isob-%'
      THEN 'aws-iso-b'
      WHEN "REGION" LIKE 'eu-isoe-%'
      THEN 'aws-iso-e'
      WHEN "REGION" LIKE 'us-isof-%'
      THEN 'aws-iso-f'
      WHEN "REGION" LIKE 'eusc-%'
      THEN 'aws-eusc'
      ELSE 'aws'
    END AS "OWN_PARTITION"
  FROM "LEXPORT"."POLICY_STATEMENTS"
), "CONDITION_GROUPS" AS (
  SELECT
    "ACCOUNT_ID",
    "REGION",
    "FUNCTION_NAME",
    "QUALIFIER",
    "STATEMENT",
    "OPERATOR",
    "KEY",
    MIN(CASE WHEN "IS_LIMITING" THEN 1 ELSE 0 END) AS "LIMITS",
    MIN(CASE WHEN "IS_LIMITING" AND "NAMED_ACCOUNT_ID" = "ACCOUNT_ID" THEN 1 ELSE 0 END) AS "IS_OWN",
    MIN(CASE WHEN "IS_LIMITING" AND NOT "NAMED_ACCOUNT_ID" IS NULL THEN 1 ELSE 0 END) AS "NAMES_ACCOUNTS",
    MIN("VALUE") AS "LEAST_VALUE",
    MAX("VALUE") AS "GREATEST_VALUE"
  FROM (
    SELECT
      "ACCOUNT_ID",
      "REGION",
      "FUNCTION_NAME",
      "QUALIFIER",
      "STATEMENT",
      "OPERATOR",
      "KEY",
      "VALUE",
      "IS_LIMITING",
      CASE
        WHEN "KEY" IN ('aws:sourceaccount', 'aws:sourceowner')
        THEN CASE
          WHEN LENGTH("VALUE") = 12 AND LENGTH(TRIM("VALUE", '0123456789')) = 0
          THEN "VALUE"
        END
        WHEN "KEY" = 'aws:sourcearn'
        THEN NULLIF(SPLIT_PART("VALUE", ':', 5), '')
      END AS "NAMED_ACCOUNT_ID"
    FROM "LEXPORT"."POLICY_CONDITIONS"
  ) AS "V"
  GROUP BY
    "ACCOUNT_ID",
    "REGION",
    "FUNCTION_NAME",
    "QUALIFIER",
    "STATEMENT",
    "OPERATOR",
    "KEY"
), "CONDITIONS" AS (
  SELECT
    "ACCOUNT_ID",
    "REGION",
    "FUNCTION_NAME",
    "QUALIFIER",
    "STATEMENT",
    MAX("IS_OWN") AS "HAS_OWN_SOURCE",
    MAX(CASE WHEN "NAMES_ACCOUNTS" = 1 AND "IS_OWN" = 0 THEN 1 ELSE 0 END) AS "HAS_FOREIGN_SOURCE",
    MAX(CASE WHEN "KEY" = 'aws:sourcearn' THEN "LIMITS" ELSE 0 END) AS "HAS_SOURCE_ARN",
    MAX(
      CASE
        WHEN "KEY" IN ('aws:sourceorgid', 'aws:sourceorgpaths')
        THEN "LIMITS"
        ELSE 0
      END
    ) AS "HAS_SOURCE_ORGANIZATION",
    MAX(CASE WHEN "KEY" = 'lambda:eventsourcetoken' THEN "LIMITS" ELSE 0 END) AS "HAS_TOKEN",
    CASE
      WHEN MIN(
        CASE
          WHEN "KEY" = 'lambda:functionurlauthtype'
          AND "LEAST_VALUE" = 'NONE'
          AND "GREATEST_VALUE" = 'NONE'
          THEN "LIMITS"
          ELSE 0
        END
      ) = 1
      THEN 'url_none'
      WHEN MIN(
        CASE
          WHEN "KEY" = 'lambda:functionurlauthtype'
          AND "LEAST_VALUE" = 'AWS_IAM'
          AND "GREATEST_VALUE" = 'AWS_IAM'
          THEN "LIMITS"
          ELSE 0
        END
      ) = 1
      THEN 'url_iam'
      WHEN MIN(CASE WHEN "KEY" = 'lambda:invokedviafunctionurl' THEN "LIMITS" ELSE 0 END) = 1
      THEN 'via_url'
      WHEN MAX(
        CASE
          WHEN "KEY" IN (
            'aws:principalorgid',
            'aws:principalorgpaths',
            'aws:sourceorgid',
            'aws:sourceorgpaths'
          )
          THEN "LIMITS"
          ELSE 0
        END
      ) = 1
      THEN 'organization'
      WHEN MAX(
        CASE
          WHEN "KEY" IN (
            'aws:sourcearn',
            'aws:sourceaccount',
            'aws:sourceowner',
            'aws:principalaccount',
            'aws:principalarn',
            'aws:sourcevpc',
            'aws:sourcevpce',
            'aws:userid',
            'aws:sourceip',
            'lambda:eventsourcetoken'
          )
          THEN "LIMITS"
          ELSE 0
        END
      ) = 1
      THEN 'limited'
      ELSE 'unknown'
    END AS "KIND"
  FROM "CONDITION_GROUPS"
  GROUP BY
    "ACCOUNT_ID",
    "REGION",
    "FUNCTION_NAME",
    "QUALIFIER",
    "STATEMENT"
), "PATTERNS" AS (
  SELECT
    "ACTION",
    "FIRST_WILDCARD",
    CASE WHEN "FIRST_WILDCARD" = 0 THEN 0 ELSE 1 END AS "IS_PATTERN",
    CASE
      WHEN "FIRST_WILDCARD" = 0
      THEN LOWER("ACTION")
      ELSE SUBSTRING(LOWER("ACTION"), 1, "FIRST_WILDCARD" - 1)
    END AS "HEAD"
  FROM (
    SELECT
      "ACTION",
      CASE
        WHEN "STARS" = 0 OR (
          "MARKS" > 0 AND "MARKS" < "STARS"
        )
        THEN "MARKS"
        ELSE "STARS"
      END AS "FIRST_WILDCARD"
    FROM (
      SELECT DISTINCT
        "ACTION",
        CHARINDEX('*', "ACTION") AS "STARS",
        CHARINDEX('?', "ACTION") AS "MARKS"
      FROM "LEXPORT"."POLICY_STATEMENTS"
      WHERE
        NOT "ACTION" IS NULL
    ) AS "P"
  ) AS "F"
), "CHANGE_VERBS" AS (
  SELECT
    'lambda:add' AS "VERB"
  UNION ALL
  SELECT
    'lambda:create'
  UNION ALL
  SELECT
    'lambda:delete'
  UNION ALL
  SELECT
    'lambda:disable'
  UNION ALL
  SELECT
    'lambda:enable'
  UNION ALL
  SELECT
    'lambda:publish'
  UNION ALL
  SELECT
    'lambda:put'
  UNION ALL
  SELECT
    'lambda:remove'
  UNION ALL
  SELECT
    'lambda:tag'
  UNION ALL
  SELECT
    'lambda:untag'
  UNION ALL
  SELECT
    'lambda:update'
), "ACTIONS" AS (
  SELECT
    "P"."ACTION",
    "P"."HEAD",
    "P"."FIRST_WILDCARD",
    CASE
      WHEN "P"."HEAD" IN ('lambda:invokefunction', 'lambda:invokefunctionurl')
      AND "P"."IS_PATTERN" = 0
      THEN 0
      WHEN "P"."HEAD" LIKE 'lambda:invoke%' AND "P"."IS_PATTERN" = 1
      THEN 0
      ELSE 1
    END AS "COVERS_OTHER",
    MIN(
      CASE
        WHEN "P"."HEAD" LIKE "V"."VERB" || '%'
        OR (
          "P"."IS_PATTERN" = 1 AND "V"."VERB" LIKE "P"."HEAD" || '%'
        )
        THEN 1
        WHEN "P"."HEAD" = 'lambda:getfunction'
        OR (
          "P"."IS_PATTERN" = 1 AND 'lambda:getfunction' LIKE "P"."HEAD" || '%'
        )
        THEN 2
        WHEN "P"."HEAD" LIKE 'lambda:invoke%'
        THEN 3
        ELSE 4
      END
    ) AS "CLASS_RANK"
  FROM "PATTERNS" AS "P"
  CROSS JOIN "CHANGE_VERBS" AS "V"
  GROUP BY
    "P"."ACTION",
    "P"."HEAD",
    "P"."FIRST_WILDCARD",
    "P"."IS_PATTERN"
), "EVERYTHING_EXCLUDED" AS (
  SELECT DISTINCT
    "S"."ACCOUNT_ID",
    "S"."REGION",
    "S"."FUNCTION_NAME",
    "S"."QUALIFIER",
    "S"."STATEMENT"
  FROM "LEXPORT"."POLICY_STATEMENTS" AS "S"
  WHERE
    "S"."IS_NOT_ACTION" AND LOWER("S"."ACTION") IN ('*', 'lambda:*')
), "STATEMENTS" AS (
  SELECT
    "S"."ACCOUNT_ID",
    "S"."REGION",
    "S"."FUNCTION_NAME",
    "S"."QUALIFIER",
    "S"."POSITION",
    "S"."STATEMENT",
    "S"."SID",
    "S"."EFFECT",
    "S"."PRINCIPAL_TYPE",
    "S"."PRINCIPAL",
    "S"."ACTION",
    "S"."RESOURCE",
    "S"."CONDITION_JSON",
    "S"."IS_NOT_RESOURCE",
    "O"."OWN_PARTITION",
    "S"."PRINCIPAL_ACCOUNT_ID",
    CASE
      WHEN "S"."PRINCIPAL_TYPE" IS NULL OR "S"."IS_NOT_PRINCIPAL"
      THEN 'unclear'
      WHEN "S"."IS_PUBLIC_PRINCIPAL"
      THEN 'everyone'
      WHEN "S"."PRINCIPAL_TYPE" = 'Service'
      THEN 'service'
      WHEN "S"."PRINCIPAL_TYPE" <> 'AWS'
      THEN 'unknown'
      WHEN (
        "S"."PRINCIPAL" LIKE 'AIDA%' OR "S"."PRINCIPAL" LIKE 'AROA%'
      )
      AND LENGTH("S"."PRINCIPAL") >= 16
      AND LENGTH(TRIM("S"."PRINCIPAL", 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789')) = 0
      THEN 'deleted'
      WHEN "S"."PRINCIPAL_ACCOUNT_ID" = "S"."ACCOUNT_ID"
      AND "S"."PRINCIPAL" LIKE 'arn:%'
      AND "S"."PRINCIPAL" NOT LIKE 'arn:' || "O"."OWN_PARTITION" || ':%'
      THEN 'unknown'
      WHEN "S"."PRINCIPAL_ACCOUNT_ID" = "S"."ACCOUNT_ID"
      THEN 'own_account'
      WHEN NOT "S"."PRINCIPAL_ACCOUNT_ID" IS NULL
      THEN 'other_account'
      ELSE 'unknown'
    END AS "WHO",
    CASE
      WHEN NOT "C"."STATEMENT" IS NULL
      THEN "C"."KIND"
      WHEN COALESCE("S"."CONDITION_JSON", '{}') = '{}'
      THEN 'none'
      ELSE 'unknown'
    END AS "CONDITION_KIND",
    "C"."HAS_OWN_SOURCE",
    "C"."HAS_FOREIGN_SOURCE",
    "C"."HAS_SOURCE_ARN",
    "C"."HAS_SOURCE_ORGANIZATION",
    "C"."HAS_TOKEN",
    CASE WHEN "S"."COVERS_INVOKE_FUNCTION_URL" THEN 1 ELSE 0 END AS "COVERS_URL",
    CASE WHEN "S"."COVERS_INVOKE_FUNCTION" THEN 1 ELSE 0 END AS "COVERS_INVOKE",
    CASE
      WHEN "S"."PRINCIPAL_TYPE" IS NULL
      THEN 1
      WHEN "S"."IS_NOT_ACTION"
      THEN CASE WHEN "X"."STATEMENT" IS NULL THEN 1 ELSE 0 END
      ELSE "A"."COVERS_OTHER"
    END AS "COVERS_OTHER",
    CASE WHEN "S"."IS_NOT_ACTION" THEN NULL ELSE LOWER("S"."ACTION") END AS "EXACT_ACTION",
    CASE
      WHEN "S"."IS_NOT_ACTION"
      OR "A"."FIRST_WILDCARD" <> LENGTH("S"."ACTION")
      OR "S"."ACTION" NOT LIKE '%*'
      THEN NULL
      ELSE "A"."HEAD"
    END AS "ALL_BELOW",
    CASE
      WHEN "S"."PRINCIPAL_TYPE" IS NULL OR "S"."IS_NOT_ACTION"
      THEN 1
      ELSE "A"."CLASS_RANK"
    END AS "CLASS_RANK"
  FROM (
    SELECT
      "ACCOUNT_ID",
      "REGION",
      "FUNCTION_NAME",
      "QUALIFIER",
      "POSITION",
      "STATEMENT",
      "SID",
      "EFFECT",
      "PRINCIPAL_TYPE",
      "PRINCIPAL",
      "ACTION",
      "RESOURCE",
      "CONDITION_JSON",
      "IS_NOT_PRINCIPAL",
      "IS_NOT_ACTION",
      "IS_NOT_RESOURCE",
      "IS_PUBLIC_PRINCIPAL",
      "COVERS_INVOKE_FUNCTION",
      "COVERS_INVOKE_FUNCTION_URL",
      CASE
        WHEN "PRINCIPAL_TYPE" <> 'AWS'
        THEN NULL
        WHEN LENGTH("PRINCIPAL") = 12 AND LENGTH(TRIM("PRINCIPAL", '0123456789')) = 0
        THEN "PRINCIPAL"
        WHEN "PRINCIPAL" LIKE 'arn:%'
        AND LENGTH(NULLIF(SPLIT_PART("PRINCIPAL", ':', 5), '')) = 12
        AND LENGTH(TRIM(NULLIF(SPLIT_PART("PRINCIPAL", ':', 5), ''), '0123456789')) = 0
        THEN NULLIF(SPLIT_PART("PRINCIPAL", ':', 5), '')
      END AS "PRINCIPAL_ACCOUNT_ID"
    FROM "LEXPORT"."POLICY_STATEMENTS"
  ) AS "S"
  JOIN "PARTITIONS" AS "O"
    ON "O"."REGION" = "S"."REGION"
  LEFT JOIN "CONDITIONS" AS "C"
    ON "C"."ACCOUNT_ID" = "S"."ACCOUNT_ID"
    AND "C"."REGION" = "S"."REGION"
    AND "C"."FUNCTION_NAME" = "S"."FUNCTION_NAME"
    AND "C"."QUALIFIER" = "S"."QUALIFIER"
    AND "C"."STATEMENT" = "S"."STATEMENT"
  LEFT JOIN "ACTIONS" AS "A"
    ON "A"."ACTION" = "S"."ACTION"
  LEFT JOIN "EVERYTHING_EXCLUDED" AS "X"
    ON "X"."ACCOUNT_ID" = "S"."ACCOUNT_ID"
    AND "X"."REGION" = "S"."REGION"
    AND "X"."FUNCTION_NAME" = "S"."FUNCTION_NAME"
    AND "X"."QUALIFIER" = "S"."QUALIFIER"
    AND "X"."STATEMENT" = "S"."STATEMENT"
), "ACCESSES" AS (
  SELECT
    'url' AS "ACCESS"
  UNION ALL
  SELECT
    'invoke'
  UNION ALL
  SELECT
    'other'
), "ALLOWED" AS (
  SELECT
    "S"."ACCOUNT_ID",
    "S"."REGION",
    "S"."FUNCTION_NAME",
    "S"."QUALIFIER",
    "S"."POSITION",
    "S"."STATEMENT",
    "S"."SID",
    "S"."PRINCIPAL_TYPE",
    "S"."PRINCIPAL",
    "S"."ACTION",
    "S"."RESOURCE",
    "S"."CONDITION_JSON",
    "S"."PRINCIPAL_ACCOUNT_ID",
    "S"."WHO",
    "S"."CONDITION_KIND",
    "S"."HAS_OWN_SOURCE",
    "S"."HAS_FOREIGN_SOURCE",
    "S"."HAS_SOURCE_ARN",
    "S"."HAS_SOURCE_ORGANIZATION",
    "S"."HAS_TOKEN",
    "S"."EXACT_ACTION",
    "A"."ACCESS",
    CASE WHEN "A"."ACCESS" = 'other' THEN "S"."CLASS_RANK" ELSE 3 END AS "CLASS_RANK"
  FROM "STATEMENTS" AS "S"
  JOIN "ACCESSES" AS "A"
    ON (
      "A"."ACCESS" = 'url' AND "S"."COVERS_URL" = 1
    )
    OR (
      "A"."ACCESS" = 'invoke' AND "S"."COVERS_INVOKE" = 1
    )
    OR (
      "A"."ACCESS" = 'other' AND "S"."COVERS_OTHER" = 1
    )
  WHERE
    "S"."PRINCIPAL_TYPE" IS NULL OR "S"."EFFECT" = 'Allow'
), "DENIED" AS (
  SELECT
    "ACCOUNT_ID",
    "REGION",
    "FUNCTION_NAME",
    "QUALIFIER",
    "PRINCIPAL_TYPE",
    "PRINCIPAL",
    "EXACT_ACTION",
    "ALL_BELOW",
    "COVERS_URL",
    "COVERS_INVOKE",
    CASE
      WHEN (
        "PRINCIPAL_TYPE" IN ('*', 'AWS') AND "PRINCIPAL" = '*'
      ) OR "WHO" = 'unclear'
      THEN 1
      ELSE 0
    END AS "IS_OF_EVERYONE",
    CASE WHEN "CONDITION_KIND" = 'none' AND "WHO" <> 'unclear' THEN 0 ELSE 1 END AS "IS_UNCERTAIN"
  FROM (
    SELECT
      "ACCOUNT_ID",
      "REGION",
      "FUNCTION_NAME",
      "QUALIFIER",
      "PRINCIPAL_TYPE",
      "PRINCIPAL",
      "EXACT_ACTION",
      "ALL_BELOW",
      "COVERS_URL",
      "COVERS_INVOKE",
      "WHO",
      "CONDITION_KIND",
      "RESOURCE",
      "IS_NOT_RESOURCE",
      'arn:' || "OWN_PARTITION" || ':lambda:' || "REGION" || ':' || "ACCOUNT_ID" || ':function:' || "FUNCTION_NAME" AS "FUNCTION_ARN"
    FROM "STATEMENTS"
    WHERE
      NOT "PRINCIPAL_TYPE" IS NULL AND "EFFECT" = 'Deny'
  ) AS "D"
  WHERE
    NOT "IS_NOT_RESOURCE"
    AND (
      "RESOURCE" IS NULL
      OR "RESOURCE" = '*'
      OR "RESOURCE" = "FUNCTION_ARN" || CASE WHEN "QUALIFIER" = '$LATEST' THEN '' ELSE ':' || "QUALIFIER" END
      OR "RESOURCE" = "FUNCTION_ARN" || '*'
      OR (
        "QUALIFIER" <> '$LATEST' AND "RESOURCE" = "FUNCTION_ARN" || ':*'
      )
    )
), "DENIALS" AS (
  SELECT
    "A"."ACCOUNT_ID",
    "A"."REGION",
    "A"."FUNCTION_NAME",
    "A"."QUALIFIER",
    "A"."POSITION",
    "A"."ACCESS",
    MIN("D"."IS_UNCERTAIN") AS "IS_UNCERTAIN"
  FROM "ALLOWED" AS "A"
  JOIN "DENIED" AS "D"
    ON "D"."ACCOUNT_ID" = "A"."ACCOUNT_ID"
    AND "D"."REGION" = "A"."REGION"
    AND "D"."FUNCTION_NAME" = "A"."FUNCTION_NAME"
    AND "D"."QUALIFIER" = "A"."QUALIFIER"
  WHERE
    (
      "D"."IS_OF_EVERYONE" = 1
      OR (
        "D"."PRINCIPAL_TYPE" = "A"."PRINCIPAL_TYPE" AND "D"."PRINCIPAL" = "A"."PRINCIPAL"
      )
    )
    AND (
      (
        "A"."ACCESS" = 'url' AND "D"."COVERS_URL" = 1
      )
      OR (
        "A"."ACCESS" = 'invoke' AND "D"."COVERS_INVOKE" = 1
      )
      OR (
        "A"."ACCESS" = 'other'
        AND (
          "D"."EXACT_ACTION" = "A"."EXACT_ACTION"
          OR "D"."ALL_BELOW" = SUBSTRING("A"."EXACT_ACTION", 1, LENGTH("D"."ALL_BELOW"))
          OR "D"."ALL_BELOW" IN ('', 'lambda:')
        )
      )
    )
  GROUP BY
    "A"."ACCOUNT_ID",
    "A"."REGION",
    "A"."FUNCTION_NAME",
    "A"."QUALIFIER",
    "A"."POSITION",
    "A"."ACCESS"
), "GRANTED" AS (
  SELECT
    "A"."ACCOUNT_ID",
    "A"."REGION",
    "A"."FUNCTION_NAME",
    "A"."QUALIFIER",
    "A"."POSITION",
    "A"."STATEMENT",
    "A"."SID",
    "A"."PRINCIPAL_TYPE",
    "A"."PRINCIPAL",
    "A"."ACTION",
    "A"."RESOURCE",
    "A"."CONDITION_JSON",
    "A"."PRINCIPAL_ACCOUNT_ID",
    "A"."WHO",
    "A"."CONDITION_KIND",
    "A"."HAS_OWN_SOURCE",
    "A"."HAS_FOREIGN_SOURCE",
    "A"."HAS_SOURCE_ARN",
    "A"."HAS_SOURCE_ORGANIZATION",
    "A"."HAS_TOKEN",
    "A"."ACCESS",
    "A"."CLASS_RANK",
    COALESCE("D"."IS_UNCERTAIN", 0) AS "IS_QUESTIONED"
  FROM "ALLOWED" AS "A"
  LEFT JOIN "DENIALS" AS "D"
    ON "D"."ACCOUNT_ID" = "A"."ACCOUNT_ID"
    AND "D"."REGION" = "A"."REGION"
    AND "D"."FUNCTION_NAME" = "A"."FUNCTION_NAME"
    AND "D"."QUALIFIER" = "A"."QUALIFIER"
    AND "D"."POSITION" = "A"."POSITION"
    AND "D"."ACCESS" = "A"."ACCESS"
  WHERE
    COALESCE("D"."IS_UNCERTAIN", 1) = 1
), "PUBLIC_HALVES" AS (
  SELECT
    "ACCOUNT_ID",
    "REGION",
    "FUNCTION_NAME",
    "QUALIFIER",
    MAX(
      CASE
        WHEN "ACCESS" = 'url' AND "CONDITION_KIND" IN ('none', 'url_none')
        THEN 2 - "IS_QUESTIONED"
        ELSE 0
      END
    ) AS "URL",
    MAX(
      CASE
        WHEN "ACCESS" = 'invoke' AND "CONDITION_KIND" IN ('none', 'via_url')
        THEN 2 - "IS_QUESTIONED"
        ELSE 0
      END
    ) AS "INVOKE",
    MIN(CASE WHEN "ACCESS" = 'url' THEN "LIMIT_RANK" END) AS "URL_LIMIT",
    MIN(CASE WHEN "ACCESS" = 'invoke' THEN "LIMIT_RANK" END) AS "INVOKE_LIMIT"
  FROM (
    SELECT
      "ACCOUNT_ID",
      "REGION",
      "FUNCTION_NAME",
      "QUALIFIER",
      "ACCESS",
      "CONDITION_KIND",
      "IS_QUESTIONED",
      CASE "CONDITION_KIND"
        WHEN 'unknown'
        THEN 1
        WHEN 'organization'
        THEN 2
        WHEN 'limited'
        THEN 3
      END AS "LIMIT_RANK"
    FROM "GRANTED"
    WHERE
      "WHO" = 'everyone'
  ) AS "E"
  GROUP BY
    "ACCOUNT_ID",
    "REGION",
    "FUNCTION_NAME",
    "QUALIFIER"
), "JUDGED" AS (
  SELECT
    "G"."ACCOUNT_ID",
    "G"."REGION",
    "G"."FUNCTION_NAME",
    "G"."QUALIFIER",
    "G"."POSITION",
    "G"."STATEMENT",
    "G"."SID",
    "G"."PRINCIPAL_TYPE",
    "G"."PRINCIPAL",
    "G"."ACTION",
    "G"."RESOURCE",
    "G"."CONDITION_JSON",
    "G"."PRINCIPAL_ACCOUNT_ID",
    "G"."WHO",
    "G"."CONDITION_KIND",
    "G"."ACCESS",
    "G"."CLASS_RANK",
    "G"."IS_QUESTIONED",
    "H"."URL" AS "URL_HALF",
    "H"."INVOKE" AS "INVOKE_HALF",
    CASE
      WHEN "G"."WHO" = 'unclear'
      THEN 'public?'
      WHEN "G"."WHO" = 'deleted'
      THEN 'dead_principal'
      WHEN "G"."WHO" = 'other_account'
      THEN 'cross_account'
      WHEN "G"."WHO" IN ('own_account', 'unknown')
      THEN "G"."WHO"
      WHEN "G"."WHO" = 'service'
      THEN CASE
        WHEN "G"."HAS_OWN_SOURCE" = 1
        THEN 'own_service'
        WHEN "G"."HAS_FOREIGN_SOURCE" = 1
        THEN 'foreign_service_source'
        WHEN "G"."HAS_SOURCE_ORGANIZATION" = 1
        THEN 'organization'
        WHEN "G"."PRINCIPAL" LIKE 's3.%' AND "G"."HAS_SOURCE_ARN" = 1
        THEN 'service_weak'
        WHEN "G"."PRINCIPAL" IN ('secretsmanager.amazonaws.com', 'eks.amazonaws.com')
        THEN 'own_service'
        WHEN "G"."PRINCIPAL" LIKE 'alexa-%.amazon.com'
        AND "G"."ACCESS" = 'invoke'
        AND "G"."HAS_TOKEN" = 1
        THEN 'limited'
        ELSE 'confused_deputy'
      END
      WHEN "G"."CONDITION_KIND" IN ('organization', 'limited')
      THEN "G"."CONDITION_KIND"
      WHEN "G"."CONDITION_KIND" = 'none' AND "G"."ACCESS" <> 'url'
      THEN 'any_aws_account'
      WHEN "G"."CONDITION_KIND" = 'none'
      OR (
        "G"."CONDITION_KIND" IN ('url_none', 'url_iam') AND "G"."ACCESS" = 'url'
      )
      OR (
        "G"."CONDITION_KIND" = 'via_url' AND "G"."ACCESS" = 'invoke'
      )
      THEN CASE
        WHEN "T"."URL_STATUS" <> 'read'
        THEN 'public?'
        WHEN "T"."URL_AUTH_TYPE" IS NULL
        THEN 'latent'
        WHEN "G"."CONDITION_KIND" = 'via_url' AND "T"."URL_AUTH_TYPE" = 'AWS_IAM'
        THEN 'any_aws_account_via_url'
        WHEN "G"."CONDITION_KIND" = 'via_url' AND "H"."URL" > 0
        THEN 'internet'
        WHEN "G"."CONDITION_KIND" = 'via_url'
        THEN CASE "H"."URL_LIMIT"
          WHEN 1
          THEN 'public?'
          WHEN 2
          THEN 'organization'
          WHEN 3
          THEN 'limited'
          ELSE 'url_broken'
        END
        WHEN "G"."CONDITION_KIND" = 'url_none' AND "T"."URL_AUTH_TYPE" = 'AWS_IAM'
        THEN 'latent'
        WHEN "G"."CONDITION_KIND" = 'url_iam' AND "T"."URL_AUTH_TYPE" = 'NONE'
        THEN 'latent'
        WHEN "H"."INVOKE" = 0
        THEN CASE "H"."INVOKE_LIMIT"
          WHEN 1
          THEN 'public?'
          WHEN 2
          THEN 'organization'
          WHEN 3
          THEN 'limited'
          ELSE 'url_broken'
        END
        WHEN "T"."URL_AUTH_TYPE" = 'NONE'
        THEN 'internet'
        ELSE 'any_aws_account_via_url'
      END
      ELSE 'public?'
    END AS "PLAIN_VERDICT"
  FROM "GRANTED" AS "G"
  LEFT JOIN "PUBLIC_HALVES" AS "H"
    ON "H"."ACCOUNT_ID" = "G"."ACCOUNT_ID"
    AND "H"."REGION" = "G"."REGION"
    AND "H"."FUNCTION_NAME" = "G"."FUNCTION_NAME"
    AND "H"."QUALIFIER" = "G"."QUALIFIER"
  LEFT JOIN "LEXPORT"."EXPOSURE_TARGETS" AS "T"
    ON "T"."ACCOUNT_ID" = "G"."ACCOUNT_ID"
    AND "T"."REGION" = "G"."REGION"
    AND "T"."FUNCTION_NAME" = "G"."FUNCTION_NAME"
    AND "T"."QUALIFIER" = "G"."QUALIFIER"
), "CERTAIN" AS (
  SELECT
    "ACCOUNT_ID",
    "REGION",
    "FUNCTION_NAME",
    "QUALIFIER",
    "POSITION",
    "STATEMENT",
    "SID",
    "PRINCIPAL_TYPE",
    "PRINCIPAL",
    "ACTION",
    "RESOURCE",
    "CONDITION_JSON",
    "PRINCIPAL_ACCOUNT_ID",
    "WHO",
    "CONDITION_KIND",
    "ACCESS",
    "CLASS_RANK",
    "PLAIN_VERDICT",
    CASE
      WHEN "IS_QUESTIONED" = 1 OR "PLAIN_VERDICT" = 'public?'
      THEN 0
      WHEN "ACCESS" = 'url'
      AND "PLAIN_VERDICT" IN ('internet', 'any_aws_account_via_url')
      AND "INVOKE_HALF" = 1
      THEN 0
      WHEN "ACCESS" = 'invoke' AND "PLAIN_VERDICT" = 'internet' AND "URL_HALF" = 1
      THEN 0
      ELSE 1
    END AS "IS_CERTAIN"
  FROM "JUDGED"
)
SELECT
  "C"."ACCOUNT_ID",
  "C"."REGION",
  "C"."FUNCTION_NAME",
  "C"."QUALIFIER",
  "C"."POSITION",
  "C"."ACCESS",
  CASE
    WHEN "C"."IS_CERTAIN" = 1 OR "C"."PLAIN_VERDICT" = 'public?'
    THEN "C"."PLAIN_VERDICT"
    ELSE "C"."PLAIN_VERDICT" || '?'
  END AS "VERDICT",
  "V"."RANK",
  CASE WHEN "C"."IS_CERTAIN" = 1 THEN TRUE ELSE FALSE END AS "IS_CERTAIN",
  CASE "C"."CLASS_RANK"
    WHEN 1
    THEN 'change'
    WHEN 2
    THEN 'read code'
    WHEN 3
    THEN 'invoke'
    ELSE 'other'
  END AS "ACTION_CLASS",
  "C"."CLASS_RANK",
  "C"."SID",
  "C"."STATEMENT",
  "C"."WHO",
  "C"."PRINCIPAL_TYPE",
  "C"."PRINCIPAL",
  "C"."PRINCIPAL_ACCOUNT_ID",
  "C"."ACTION",
  "C"."RESOURCE",
  "C"."CONDITION_JSON",
  "C"."CONDITION_KIND"
FROM "CERTAIN" AS "C"
JOIN "LEXPORT"."EXPOSURE_VERDICTS" AS "V"
  ON "V"."VERDICT" = "C"."PLAIN_VERDICT"
ORDER BY
  "C"."ACCOUNT_ID",
  "C"."REGION",
  "C"."FUNCTION_NAME",
  "C"."QUALIFIER",
  "C"."POSITION",
  "C"."CLASS_RANK",
  "C"."ACCESS"
