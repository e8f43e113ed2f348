WITH "partitions" AS (
  SELECT DISTINCT
    "region",
    CASE
      WHEN "region" LIKE 'cn-%'
      THEN 'aws-cn'
      WHEN "region" LIKE 'us-gov-%'
      THEN 'aws-us-gov'
      WHEN "region" LIKE 'us-iso-%'
      THEN 'aws-iso'
      WHEN "region" LIKE 'us-isob-%'
      THEN 'aws-iso-b'
      WHEN "region" LIKE 'eu-isoe-%'
      THEN 'aws-iso-e'
      WHEN "region" LIKE 'us-isof-%'
      THEN 'aws-iso-f'
      WHEN "region" LIKE 'eusc-%'
      THEN 'aws-eusc'
      ELSE 'aws'
    END AS "own_partition"
  FROM "lexport"."policy_statements"
), "condition_groups" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "statement",
    "operator",
    "key",
    MIN(CASE WHEN "is_limiting" THEN 1 ELSE 0 END) AS "limits",
    MIN(CASE WHEN "is_limiting" AND "named_account_id" = "account_id" THEN 1 ELSE 0 END) AS "is_own",
    MIN(
      CASE WHEN "is_limiting" AND NOT (
        "named_account_id" IS NULL
      ) THEN 1 ELSE 0 END
    ) AS "names_accounts",
    MIN("value") AS "least_value",
    MAX("value") AS "greatest_value"
  FROM (
    SELECT
      "account_id",
      "region",
      "function_name",
      "qualifier",
      "statement",
      "operator",
      "key",
      "value",
      "is_limiting",
      CASE
        WHEN "key" IN ('aws:sourceaccount', 'aws:sourceowner')
        THEN CASE
          WHEN CHAR_LENGTH("value") = 12
          AND CHAR_LENGTH(TRIM(BOTH '0123456789' FROM "value")) = 0
          THEN "value"
        END
        WHEN "key" = 'aws:sourcearn'
        THEN nullIf(
          CASE
            WHEN NOT (
              "value" IS NULL
            )
            THEN splitByString(':', assumeNotNull("value"))[5]
          END,
          ''
        )
      END AS "named_account_id"
    FROM "lexport"."policy_conditions"
  ) AS "v"
  GROUP BY
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "statement",
    "operator",
    "key"
), "conditions" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "statement",
    MAX("is_own") AS "has_own_source",
    MAX(CASE WHEN "names_accounts" = 1 AND "is_own" = 0 THEN 1 ELSE 0 END) AS "has_foreign_source",
    MAX(CASE WHEN "key" = 'aws:sourcearn' THEN "limits" ELSE 0 END) AS "has_source_arn",
    MAX(
      CASE
        WHEN "key" IN ('aws:sourceorgid', 'aws:sourceorgpaths')
        THEN "limits"
        ELSE 0
      END
    ) AS "has_source_organization",
    MAX(CASE WHEN "key" = 'lambda:eventsourcetoken' THEN "limits" ELSE 0 END) AS "has_token",
    CASE
      WHEN MIN(
        CASE
          WHEN "key" = 'lambda:functionurlauthtype'
          AND "least_value" = 'NONE'
          AND "greatest_value" = 'NONE'
          THEN "limits"
          ELSE 0
        END
      ) = 1
      THEN 'url_none'
      WHEN MIN(
        CASE
          WHEN "key" = 'lambda:functionurlauthtype'
          AND "least_value" = 'AWS_IAM'
          AND "greatest_value" = 'AWS_IAM'
          THEN "limits"
          ELSE 0
        END
      ) = 1
      THEN 'url_iam'
      WHEN MIN(CASE WHEN "key" = 'lambda:invokedviafunctionurl' THEN "limits" ELSE 0 END) = 1
      THEN 'via_url'
      WHEN MAX(
        CASE
          WHEN "key" IN (
            'aws:principalorgid',
            'aws:principalorgpaths',
            'aws:sourceorgid',
            'aws:sourceorgpaths'
          )
          THEN "limits"
          ELSE 0
        END
      ) = 1
      THEN 'organization'
      WHEN MAX(
        CASE
          WHEN "key" IN (
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
          THEN "limits"
          ELSE 0
        END
      ) = 1
      THEN 'limited'
      ELSE 'unknown'
    END AS "kind"
  FROM "condition_groups"
  GROUP BY
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "statement"
), "patterns" AS (
  SELECT
    "action",
    "first_wildcard",
    CASE WHEN "first_wildcard" = 0 THEN 0 ELSE 1 END AS "is_pattern",
    CASE
      WHEN "first_wildcard" = 0
      THEN LOWER("action")
      ELSE SUBSTRING(LOWER("action"), 1, "first_wildcard" - 1)
    END AS "head"
  FROM (
    SELECT
      "action",
      CASE
        WHEN "stars" = 0 OR (
          "marks" > 0 AND "marks" < "stars"
        )
        THEN "marks"
        ELSE "stars"
      END AS "first_wildcard"
    FROM (
      SELECT DISTINCT
        "action",
        POSITION("action", '*') AS "stars",
        POSITION("action", '?') AS "marks"
      FROM "lexport"."policy_statements"
      WHERE
        NOT (
          "action" IS NULL
        )
    ) AS "p"
  ) AS "f"
), "change_verbs" AS (
  SELECT
    'lambda:add' AS "verb"
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
), "actions" AS (
  SELECT
    "p"."action" AS "action",
    "p"."head" AS "head",
    "p"."first_wildcard" AS "first_wildcard",
    CASE
      WHEN "p"."head" IN ('lambda:invokefunction', 'lambda:invokefunctionurl')
      AND "p"."is_pattern" = 0
      THEN 0
      WHEN "p"."head" LIKE 'lambda:invoke%' AND "p"."is_pattern" = 1
      THEN 0
      ELSE 1
    END AS "covers_other",
    MIN(
      CASE
        WHEN "p"."head" LIKE "v"."verb" || '%'
        OR (
          "p"."is_pattern" = 1 AND "v"."verb" LIKE "p"."head" || '%'
        )
        THEN 1
        WHEN "p"."head" = 'lambda:getfunction'
        OR (
          "p"."is_pattern" = 1 AND 'lambda:getfunction' LIKE "p"."head" || '%'
        )
        THEN 2
        WHEN "p"."head" LIKE 'lambda:invoke%'
        THEN 3
        ELSE 4
      END
    ) AS "class_rank"
  FROM "patterns" AS "p"
  CROSS JOIN "change_verbs" AS "v"
  GROUP BY
    "p"."action",
    "p"."head",
    "p"."first_wildcard",
    "p"."is_pattern"
), "everything_excluded" AS (
  SELECT DISTINCT
    "s"."account_id" AS "account_id",
    "s"."region" AS "region",
    "s"."function_name" AS "function_name",
    "s"."qualifier" AS "qualifier",
    "s"."statement" AS "statement"
  FROM "lexport"."policy_statements" AS "s"
  WHERE
    "s"."is_not_action" AND LOWER("s"."action") IN ('*', 'lambda:*')
), "statements" AS (
  SELECT
    "s"."account_id" AS "account_id",
    "s"."region" AS "region",
    "s"."function_name" AS "function_name",
    "s"."qualifier" AS "qualifier",
    "s"."position" AS "position",
    "s"."statement" AS "statement",
    "s"."sid" AS "sid",
    "s"."effect" AS "effect",
    "s"."principal_type" AS "principal_type",
    "s"."principal" AS "principal",
    "s"."action" AS "action",
    "s"."resource" AS "resource",
    "s"."condition_json" AS "condition_json",
    "s"."is_not_resource" AS "is_not_resource",
    "o"."own_partition" AS "own_partition",
    "s"."principal_account_id" AS "principal_account_id",
    CASE
      WHEN "s"."principal_type" IS NULL OR "s"."is_not_principal"
      THEN 'unclear'
      WHEN "s"."is_public_principal"
      THEN 'everyone'
      WHEN "s"."principal_type" = 'Service'
      THEN 'service'
      WHEN "s"."principal_type" <> 'AWS'
      THEN 'unknown'
      WHEN (
        "s"."principal" LIKE 'AIDA%' OR "s"."principal" LIKE 'AROA%'
      )
      AND CHAR_LENGTH("s"."principal") >= 16
      AND CHAR_LENGTH(TRIM(BOTH 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789' FROM "s"."principal")) = 0
      THEN 'deleted'
      WHEN "s"."principal_account_id" = "s"."account_id"
      AND "s"."principal" LIKE 'arn:%'
      AND "s"."principal" NOT LIKE 'arn:' || "o"."own_partition" || ':%'
      THEN 'unknown'
      WHEN "s"."principal_account_id" = "s"."account_id"
      THEN 'own_account'
      WHEN NOT (
        "s"."principal_account_id" IS NULL
      )
      THEN 'other_account'
      ELSE 'unknown'
    END AS "who",
    CASE
      WHEN NOT (
        "c"."statement" IS NULL
      )
      THEN "c"."kind"
      WHEN COALESCE("s"."condition_json", '{}') = '{}'
      THEN 'none'
      ELSE 'unknown'
    END AS "condition_kind",
    "c"."has_own_source" AS "has_own_source",
    "c"."has_foreign_source" AS "has_foreign_source",
    "c"."has_source_arn" AS "has_source_arn",
    "c"."has_source_organization" AS "has_source_organization",
    "c"."has_token" AS "has_token",
    CASE WHEN "s"."covers_invoke_function_url" THEN 1 ELSE 0 END AS "covers_url",
    CASE WHEN "s"."covers_invoke_function" THEN 1 ELSE 0 END AS "covers_invoke",
    CASE
      WHEN "s"."principal_type" IS NULL
      THEN 1
      WHEN "s"."is_not_action"
      THEN CASE WHEN "x"."statement" IS NULL THEN 1 ELSE 0 END
      ELSE "a"."covers_other"
    END AS "covers_other",
    CASE WHEN "s"."is_not_action" THEN NULL ELSE LOWER("s"."action") END AS "exact_action",
    CASE
      WHEN "s"."is_not_action"
      OR "a"."first_wildcard" <> CHAR_LENGTH("s"."action")
      OR "s"."action" NOT LIKE '%*'
      THEN NULL
      ELSE "a"."head"
    END AS "all_below",
    CASE
      WHEN "s"."principal_type" IS NULL OR "s"."is_not_action"
      THEN 1
      ELSE "a"."class_rank"
    END AS "class_rank"
  FROM (
    SELECT
      "account_id",
      "region",
      "function_name",
      "qualifier",
      "position",
      "statement",
      "sid",
      "effect",
      "principal_type",
      "principal",
      "action",
      "resource",
      "condition_json",
      "is_not_principal",
      "is_not_action",
      "is_not_resource",
      "is_public_principal",
      "covers_invoke_function",
      "covers_invoke_function_url",
      CASE
        WHEN "principal_type" <> 'AWS'
        THEN NULL
        WHEN CHAR_LENGTH("principal") = 12
        AND CHAR_LENGTH(TRIM(BOTH '0123456789' FROM "principal")) = 0
        THEN "principal"
        WHEN "principal" LIKE 'arn:%'
        AND CHAR_LENGTH(
          nullIf(
            CASE
              WHEN NOT (
                "principal" IS NULL
              )
              THEN splitByString(':', assumeNotNull("principal"))[5]
            END,
            ''
          )
        ) = 12
        AND CHAR_LENGTH(
          TRIM(BOTH '0123456789' FROM nullIf(
            CASE
              WHEN NOT (
                "principal" IS NULL
              )
              THEN splitByString(':', assumeNotNull("principal"))[5]
            END,
            ''
          ))
        ) = 0
        THEN nullIf(
          CASE
            WHEN NOT (
              "principal" IS NULL
            )
            THEN splitByString(':', assumeNotNull("principal"))[5]
          END,
          ''
        )
      END AS "principal_account_id"
    FROM "lexport"."policy_statements"
  ) AS "s"
  JOIN "partitions" AS "o"
    ON "o"."region" = "s"."region"
  LEFT JOIN "conditions" AS "c"
    ON "c"."account_id" = "s"."account_id"
    AND "c"."region" = "s"."region"
    AND "c"."function_name" = "s"."function_name"
    AND "c"."qualifier" = "s"."qualifier"
    AND "c"."statement" = "s"."statement"
  LEFT JOIN "actions" AS "a"
    ON "a"."action" = "s"."action"
  LEFT JOIN "everything_excluded" AS "x"
    ON "x"."account_id" = "s"."account_id"
    AND "x"."region" = "s"."region"
    AND "x"."function_name" = "s"."function_name"
    AND "x"."qualifier" = "s"."qualifier"
    AND "x"."statement" = "s"."statement"
), "accesses" AS (
  SELECT
    'url' AS "access"
  UNION ALL
  SELECT
    'invoke'
  UNION ALL
  SELECT
    'other'
), "allowed" AS (
  SELECT
    "s"."account_id" AS "account_id",
    "s"."region" AS "region",
    "s"."function_name" AS "function_name",
    "s"."qualifier" AS "qualifier",
    "s"."position" AS "position",
    "s"."statement" AS "statement",
    "s"."sid" AS "sid",
    "s"."principal_type" AS "principal_type",
    "s"."principal" AS "principal",
    "s"."action" AS "action",
    "s"."resource" AS "resource",
    "s"."condition_json" AS "condition_json",
    "s"."principal_account_id" AS "principal_account_id",
    "s"."who" AS "who",
    "s"."condition_kind" AS "condition_kind",
    "s"."has_own_source" AS "has_own_source",
    "s"."has_foreign_source" AS "has_foreign_source",
    "s"."has_source_arn" AS "has_source_arn",
    "s"."has_source_organization" AS "has_source_organization",
    "s"."has_token" AS "has_token",
    "s"."exact_action" AS "exact_action",
    "a"."access" AS "access",
    CASE WHEN "a"."access" = 'other' THEN "s"."class_rank" ELSE 3 END AS "class_rank"
  FROM "statements" AS "s"
  JOIN "accesses" AS "a"
    ON (
      "a"."access" = 'url' AND "s"."covers_url" = 1
    )
    OR (
      "a"."access" = 'invoke' AND "s"."covers_invoke" = 1
    )
    OR (
      "a"."access" = 'other' AND "s"."covers_other" = 1
    )
  WHERE
    "s"."principal_type" IS NULL OR "s"."effect" = 'Allow'
), "denied" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "principal_type",
    "principal",
    "exact_action",
    "all_below",
    "covers_url",
    "covers_invoke",
    CASE
      WHEN (
        "principal_type" IN ('*', 'AWS') AND "principal" = '*'
      ) OR "who" = 'unclear'
      THEN 1
      ELSE 0
    END AS "is_of_everyone",
    CASE WHEN "condition_kind" = 'none' AND "who" <> 'unclear' THEN 0 ELSE 1 END AS "is_uncertain"
  FROM (
    SELECT
      "account_id",
      "region",
      "function_name",
      "qualifier",
      "principal_type",
      "principal",
      "exact_action",
      "all_below",
      "covers_url",
      "covers_invoke",
      "who",
      "condition_kind",
      "resource",
      "is_not_resource",
      'arn:' || "own_partition" || ':lambda:' || "region" || ':' || "account_id" || ':function:' || "function_name" AS "function_arn"
    FROM "statements"
    WHERE
      NOT (
        "principal_type" IS NULL
      ) AND "effect" = 'Deny'
  ) AS "d"
  WHERE
    NOT "is_not_resource"
    AND (
      "resource" IS NULL
      OR "resource" = '*'
      OR "resource" = "function_arn" || CASE WHEN "qualifier" = '$LATEST' THEN '' ELSE ':' || "qualifier" END
      OR "resource" = "function_arn" || '*'
      OR (
        "qualifier" <> '$LATEST' AND "resource" = "function_arn" || ':*'
      )
    )
), "denials" AS (
  SELECT
    "a"."account_id" AS "account_id",
    "a"."region" AS "region",
    "a"."function_name" AS "function_name",
    "a"."qualifier" AS "qualifier",
    "a"."position" AS "position",
    "a"."access" AS "access",
    MIN("d"."is_uncertain") AS "is_uncertain"
  FROM "allowed" AS "a"
  JOIN "denied" AS "d"
    ON "d"."account_id" = "a"."account_id"
    AND "d"."region" = "a"."region"
    AND "d"."function_name" = "a"."function_name"
    AND "d"."qualifier" = "a"."qualifier"
  WHERE
    (
      "d"."is_of_everyone" = 1
      OR (
        "d"."principal_type" = "a"."principal_type" AND "d"."principal" = "a"."principal"
      )
    )
    AND (
      (
        "a"."access" = 'url' AND "d"."covers_url" = 1
      )
      OR (
        "a"."access" = 'invoke' AND "d"."covers_invoke" = 1
      )
      OR (
        "a"."access" = 'other'
        AND (
          "d"."exact_action" = "a"."exact_action"
          OR "d"."all_below" = SUBSTRING("a"."exact_action", 1, CHAR_LENGTH("d"."all_below"))
          OR "d"."all_below" IN ('', 'lambda:')
        )
      )
    )
  GROUP BY
    "a"."account_id",
    "a"."region",
    "a"."function_name",
    "a"."qualifier",
    "a"."position",
    "a"."access"
), "granted" AS (
  SELECT
    "a"."account_id" AS "account_id",
    "a"."region" AS "region",
    "a"."function_name" AS "function_name",
    "a"."qualifier" AS "qualifier",
    "a"."position" AS "position",
    "a"."statement" AS "statement",
    "a"."sid" AS "sid",
    "a"."principal_type" AS "principal_type",
    "a"."principal" AS "principal",
    "a"."action" AS "action",
    "a"."resource" AS "resource",
    "a"."condition_json" AS "condition_json",
    "a"."principal_account_id" AS "principal_account_id",
    "a"."who" AS "who",
    "a"."condition_kind" AS "condition_kind",
    "a"."has_own_source" AS "has_own_source",
    "a"."has_foreign_source" AS "has_foreign_source",
    "a"."has_source_arn" AS "has_source_arn",
    "a"."has_source_organization" AS "has_source_organization",
    "a"."has_token" AS "has_token",
    "a"."access" AS "access",
    "a"."class_rank" AS "class_rank",
    COALESCE("d"."is_uncertain", 0) AS "is_questioned"
  FROM "allowed" AS "a"
  LEFT JOIN "denials" AS "d"
    ON "d"."account_id" = "a"."account_id"
    AND "d"."region" = "a"."region"
    AND "d"."function_name" = "a"."function_name"
    AND "d"."qualifier" = "a"."qualifier"
    AND "d"."position" = "a"."position"
    AND "d"."access" = "a"."access"
  WHERE
    COALESCE("d"."is_uncertain", 1) = 1
), "public_halves" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    MAX(
      CASE
        WHEN "access" = 'url' AND "condition_kind" IN ('none', 'url_none')
        THEN 2 - "is_questioned"
        ELSE 0
      END
    ) AS "url",
    MAX(
      CASE
        WHEN "access" = 'invoke' AND "condition_kind" IN ('none', 'via_url')
        THEN 2 - "is_questioned"
        ELSE 0
      END
    ) AS "invoke",
    MIN(CASE WHEN "access" = 'url' THEN "limit_rank" END) AS "url_limit",
    MIN(CASE WHEN "access" = 'invoke' THEN "limit_rank" END) AS "invoke_limit"
  FROM (
    SELECT
      "account_id",
      "region",
      "function_name",
      "qualifier",
      "access",
      "condition_kind",
      "is_questioned",
      CASE "condition_kind"
        WHEN 'unknown'
        THEN 1
        WHEN 'organization'
        THEN 2
        WHEN 'limited'
        THEN 3
      END AS "limit_rank"
    FROM "granted"
    WHERE
      "who" = 'everyone'
  ) AS "e"
  GROUP BY
    "account_id",
    "region",
    "function_name",
    "qualifier"
), "judged" AS (
  SELECT
    "g"."account_id" AS "account_id",
    "g"."region" AS "region",
    "g"."function_name" AS "function_name",
    "g"."qualifier" AS "qualifier",
    "g"."position" AS "position",
    "g"."statement" AS "statement",
    "g"."sid" AS "sid",
    "g"."principal_type" AS "principal_type",
    "g"."principal" AS "principal",
    "g"."action" AS "action",
    "g"."resource" AS "resource",
    "g"."condition_json" AS "condition_json",
    "g"."principal_account_id" AS "principal_account_id",
    "g"."who" AS "who",
    "g"."condition_kind" AS "condition_kind",
    "g"."access" AS "access",
    "g"."class_rank" AS "class_rank",
    "g"."is_questioned" AS "is_questioned",
    "h"."url" AS "url_half",
    "h"."invoke" AS "invoke_half",
    CASE
      WHEN "g"."who" = 'unclear'
      THEN 'public?'
      WHEN "g"."who" = 'deleted'
      THEN 'dead_principal'
      WHEN "g"."who" = 'other_account'
      THEN 'cross_account'
      WHEN "g"."who" IN ('own_account', 'unknown')
      THEN "g"."who"
      WHEN "g"."who" = 'service'
      THEN CASE
        WHEN "g"."has_own_source" = 1
        THEN 'own_service'
        WHEN "g"."has_foreign_source" = 1
        THEN 'foreign_service_source'
        WHEN "g"."has_source_organization" = 1
        THEN 'organization'
        WHEN "g"."principal" LIKE 's3.%' AND "g"."has_source_arn" = 1
        THEN 'service_weak'
        WHEN "g"."principal" IN ('secretsmanager.amazonaws.com', 'eks.amazonaws.com')
        THEN 'own_service'
        WHEN "g"."principal" LIKE 'alexa-%.amazon.com'
        AND "g"."access" = 'invoke'
        AND "g"."has_token" = 1
        THEN 'limited'
        ELSE 'confused_deputy'
      END
      WHEN "g"."condition_kind" IN ('organization', 'limited')
      THEN "g"."condition_kind"
      WHEN "g"."condition_kind" = 'none' AND "g"."access" <> 'url'
      THEN 'any_aws_account'
      WHEN "g"."condition_kind" = 'none'
      OR (
        "g"."condition_kind" IN ('url_none', 'url_iam') AND "g"."access" = 'url'
      )
      OR (
        "g"."condition_kind" = 'via_url' AND "g"."access" = 'invoke'
      )
      THEN CASE
        WHEN "t"."url_status" <> 'read'
        THEN 'public?'
        WHEN "t"."url_auth_type" IS NULL
        THEN 'latent'
        WHEN "g"."condition_kind" = 'via_url' AND "t"."url_auth_type" = 'AWS_IAM'
        THEN 'any_aws_account_via_url'
        WHEN "g"."condition_kind" = 'via_url' AND "h"."url" > 0
        THEN 'internet'
        WHEN "g"."condition_kind" = 'via_url'
        THEN CASE "h"."url_limit"
          WHEN 1
          THEN 'public?'
          WHEN 2
          THEN 'organization'
          WHEN 3
          THEN 'limited'
          ELSE 'url_broken'
        END
        WHEN "g"."condition_kind" = 'url_none' AND "t"."url_auth_type" = 'AWS_IAM'
        THEN 'latent'
        WHEN "g"."condition_kind" = 'url_iam' AND "t"."url_auth_type" = 'NONE'
        THEN 'latent'
        WHEN "h"."invoke" = 0
        THEN CASE "h"."invoke_limit"
          WHEN 1
          THEN 'public?'
          WHEN 2
          THEN 'organization'
          WHEN 3
          THEN 'limited'
          ELSE 'url_broken'
        END
        WHEN "t"."url_auth_type" = 'NONE'
        THEN 'internet'
        ELSE 'any_aws_account_via_url'
      END
      ELSE 'public?'
    END AS "plain_verdict"
  FROM "granted" AS "g"
  LEFT JOIN "public_halves" AS "h"
    ON "h"."account_id" = "g"."account_id"
    AND "h"."region" = "g"."region"
    AND "h"."function_name" = "g"."function_name"
    AND "h"."qualifier" = "g"."qualifier"
  LEFT JOIN "lexport"."exposure_targets" AS "t"
    ON "t"."account_id" = "g"."account_id"
    AND "t"."region" = "g"."region"
    AND "t"."function_name" = "g"."function_name"
    AND "t"."qualifier" = "g"."qualifier"
), "certain" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "position",
    "statement",
    "sid",
    "principal_type",
    "principal",
    "action",
    "resource",
    "condition_json",
    "principal_account_id",
    "who",
    "condition_kind",
    "access",
    "class_rank",
    "plain_verdict",
    CASE
      WHEN "is_questioned" = 1 OR "plain_verdict" = 'public?'
      THEN 0
      WHEN "access" = 'url'
      AND "plain_verdict" IN ('internet', 'any_aws_account_via_url')
      AND "invoke_half" = 1
      THEN 0
      WHEN "access" = 'invoke' AND "plain_verdict" = 'internet' AND "url_half" = 1
      THEN 0
      ELSE 1
    END AS "is_certain"
  FROM "judged"
)
SELECT
  "c"."account_id" AS "account_id",
  "c"."region" AS "region",
  "c"."function_name" AS "function_name",
  "c"."qualifier" AS "qualifier",
  "c"."position" AS "position",
  "c"."access" AS "access",
  CASE
    WHEN "c"."is_certain" = 1 OR "c"."plain_verdict" = 'public?'
    THEN "c"."plain_verdict"
    ELSE "c"."plain_verdict" || '?'
  END AS "verdict",
  "v"."rank" AS "rank",
  CASE WHEN "c"."is_certain" = 1 THEN TRUE ELSE FALSE END AS "is_certain",
  CASE "c"."class_rank"
    WHEN 1
    THEN 'change'
    WHEN 2
    THEN 'read code'
    WHEN 3
    THEN 'invoke'
    ELSE 'other'
  END AS "action_class",
  "c"."class_rank" AS "class_rank",
  "c"."sid" AS "sid",
  "c"."statement" AS "statement",
  "c"."who" AS "who",
  "c"."principal_type" AS "principal_type",
  "c"."principal" AS "principal",
  "c"."principal_account_id" AS "principal_account_id",
  "c"."action" AS "action",
  "c"."resource" AS "resource",
  "c"."condition_json" AS "condition_json",
  "c"."condition_kind" AS "condition_kind"
FROM "certain" AS "c"
JOIN "lexport"."exposure_verdicts" AS "v"
  ON "v"."verdict" = "c"."plain_verdict"
ORDER BY
  "c"."account_id",
  "c"."region",
  "c"."function_name",
  "c"."qualifier",
  "c"."position",
  "c"."class_rank",
  "c"."access"
SETTINGS "join_use_nulls" = 1
