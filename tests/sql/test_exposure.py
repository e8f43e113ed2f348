"""Who can use a function: the truth table both ways, what other tools get wrong, and the views on top."""

import json
import os
import re
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st


def _load(name):
    return SimpleNamespace(**run_path(str(Path(__file__).with_name(f"{name}.py"))))


exposure, cases, oracle, policies = (_load(f"exposure{part}") for part in ("", "_cases", "_oracle", "_policies"))
A, R, FOREIGN, LATEST, Target = exposure.A, exposure.R, exposure.FOREIGN, exposure.LATEST, exposure.Target
of, allow = cases.of, cases.allow
TABLE = [(row, target, verdict) for row, pairs in cases.BOTH_WAYS.items() for target, verdict in pairs]


@pytest.fixture(scope="module")
def connection():
    with exposure.open_tables() as connection:
        yield connection


def test_truth_table(connection):
    """Every row of the truth table has its verdict, and the smallest change has another one."""
    rows = exposure.judge(connection, [target for _, target, _ in TABLE])

    assert [(row, found["verdict"]) for (row, _, _), found in zip(TABLE, rows, strict=True)] == [
        (row, verdict) for row, _, verdict in TABLE
    ]
    assert all(len({verdict for _, verdict in pairs}) > 1 for pairs in cases.BOTH_WAYS.values())


def test_other_tools(connection):
    """What public tools are known to decide wrongly has the right verdict."""
    rows = exposure.judge(connection, [target for target, _ in cases.OTHER_TOOLS.values()])

    assert {name: row["verdict"] for name, row in zip(cases.OTHER_TOOLS, rows, strict=True)} == {
        name: verdict for name, (_, verdict) in cases.OTHER_TOOLS.items()
    }


def test_action_classes(connection):
    """The class says the worst that an action allows, and no action is less than what it covers."""
    rows = exposure.judge(connection, [target for target, _ in cases.CLASSES])

    assert [row["action_class"] for row in rows] == [class_ for _, class_ in cases.CLASSES]


# --- any policies, against an evaluation in Python --------------------------------------------------------------------

MANY = int(os.environ.get("LEXPORT_EXPOSURE_EXAMPLES", "4"))


@settings(max_examples=MANY, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(targets=st.lists(policies.TARGETS, min_size=30, max_size=60))
def test_any_policies(connection, targets):
    """The views judge any policies and URLs as the truth table evaluated over the documents does."""
    expected = [
        oracle.evaluate(
            target.policy and json.loads(exposure.policy_text(target, name)),
            exposure.arn(name, target.qualifier),
            url=target.url,
            is_policy_read=target.is_policy_read,
            is_url_read=target.is_url_read,
        )
        for name, target in zip(map(exposure.name_of, range(len(targets))), targets, strict=True)
    ]

    rows = exposure.judge(connection, targets)

    for target, row, pair in zip(targets, rows, expected, strict=True):
        assert (row["verdict"], row["action_class"]) == pair, str(target)


# --- what decides, and the views on top -------------------------------------------------------------------------------


def ask(connection, targets, query, **tables):
    exposure.fill(connection, exposure.rows_of(targets) | tables)
    return [tuple(row.values()) for row in exposure.ask(connection, query)]


def test_deciding_statement(connection):
    """The row has the statement that decides, with the principal of its list, and the URL."""
    last = allow({"AWS": [A, "*"]}, ["lambda:GetPolicy", "lambda:PublishVersion"]) | {"Sid": "last"}
    rows = exposure.judge(connection, [of(cases.service(), last), of(*cases.OPEN_URL, url="NONE", qualifier="live")])
    names = (
        "sid",
        "statement",
        "principal_type",
        "principal",
        "action",
        "condition_json",
        "url_auth_type",
        "is_certain",
    )

    assert [tuple(row[name] for name in names) for row in rows] == [
        ("last", 1, "AWS", "*", "lambda:PublishVersion", None, None, True),
        ("s", 0, "*", "*", cases.URL, '{"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}', "NONE", True),
    ]


def test_targets(connection):
    """A function has a row whatever was read, an alias where it has a policy or a URL or was not read."""
    targets = [
        Target(),
        Target(qualifier="empty"),
        of(allow(), qualifier="live"),
        Target(url="AWS_IAM", qualifier="url"),
        Target(is_policy_read=False, qualifier="denied"),
    ]
    query = "SELECT function_name, qualifier, verdict FROM function_exposure ORDER BY ALL"
    functions = [(exposure.name_of(number), LATEST, "none") for number in range(5)]
    aliases = [("f00002", "live", "any_aws_account"), ("f00003", "url", "none"), ("f00004", "denied", "unread")]

    assert ask(connection, targets, query) == sorted([*functions, *aliases])


@pytest.mark.parametrize(
    ("statuses", "verdicts", "policy_status"),
    [
        ({}, ["any_aws_account", "unread", "internet?"], "not_requested"),
        (
            {"policies": "not_requested", "urls": "complete"},
            ["any_aws_account", "unread", "internet?"],
            "not_requested",
        ),
        ({"policies": "denied", "urls": "complete"}, ["any_aws_account", "unread", "internet?"], "unread"),
        ({"policies": "unavailable", "urls": "unavailable"}, ["any_aws_account", "unread", "internet?"], "unread"),
        ({"policies": "partial", "urls": "denied"}, ["any_aws_account", "none", "url_broken"], "read"),
    ],
)
def test_resources_that_were_not_read(connection, statuses, verdicts, policy_status):
    """Denied, not requested and not offered policies are unread, never none."""
    scope = [{"resource": name, "status": status} for name, status in statuses.items()]
    query = "SELECT verdict, policy_status FROM function_exposure ORDER BY function_name"

    rows = ask(connection, [of(allow()), Target(), Target(url="NONE")], query, scope_resources=scope)

    assert [verdict for verdict, _ in rows] == verdicts
    assert rows[1][1] == policy_status


def test_qualifiers_that_were_not_asked_for(connection):
    """With --policies-for functions aliases are unread, and published versions are counted on the function's row."""
    scope = [{"resource": name, "status": "complete"} for name in ("policies", "urls")]
    omitted = [{"resource": f"{name}-policies", "status": "not_requested"} for name in ("alias", "version")]
    functions = [{"function_name": "f", "version": version} for version in (LATEST, "1", "2")]
    aliases = [{"function_name": "f", "alias": "live"}]
    query = "SELECT qualifier, verdict, policy_status, unread_versions FROM function_exposure ORDER BY ALL"
    tables = {"functions": functions, "aliases": aliases}

    assert ask(connection, [], query, **tables, scope_resources=scope) == [(LATEST, "none", "read", 0)]
    assert ask(connection, [], query, **tables, scope_resources=[*scope, *omitted]) == [
        (LATEST, "none", "read", 2),
        ("live", "unread", "not_requested", 0),
    ]


def test_urls_without_policies(connection):
    """A statement about a URL is `public?` where URLs were not asked for, or where their type is unknown."""
    scope = [{"resource": "policies", "status": "complete"}]
    query = "SELECT verdict FROM function_exposure ORDER BY function_name"
    targets = [of(cases.OPEN_URL[0]), of(cases.OPEN_URL[1]), of(*cases.OPEN_URL, url="NEW_TYPE")]

    assert ask(connection, targets, query, scope_resources=scope) == [("public?",)] * 3


def test_public_functions(connection):
    """Functions that are public, or perhaps, have ARN and role, the worst first."""
    targets = [
        of(allow(condition=cases.where("StringEquals", "aws:UserAgent", "x")), qualifier="live"),
        of(allow()),
        of(*cases.OPEN_URL, url="NONE"),
        of(cases.service()),
    ]
    query = "SELECT verdict, function_arn FROM public_functions"

    assert ask(connection, targets, query) == [
        ("internet", exposure.arn("f00002")),
        ("any_aws_account", exposure.arn("f00001")),
        ("public?", exposure.arn("f00000", "live")),
    ]


def test_cross_account_access(connection):
    """Each other account and organization has a row, whether a principal or a condition names it."""
    other = "444455556666"
    where = cases.where
    targets = [
        of(allow({"AWS": [f"arn:aws:iam::{FOREIGN}:role/r", A]}, "lambda:*")),
        of(cases.service(condition=where("StringEquals", "aws:SourceAccount", [FOREIGN, other, A]))),
        of(allow(condition=where("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-a1b2c3d4e5/*"))),
        of(allow(condition=where("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{FOREIGN}:role/*"))),
        of(allow(condition=cases.OWN_ACCOUNT), allow({"AWS": A}), cases.service()),
    ]
    query = """
        SELECT function_name, verdict, other_account_id, organization_id, is_in_dataset, principal, action_class
        FROM cross_account_access
    """
    scopes = [{"account_id": name, "coverage": "fleet", "status": "complete"} for name in (A, FOREIGN)]

    assert ask(connection, targets, query, scopes=scopes) == [
        ("f00000", "cross_account", FOREIGN, None, True, f"arn:aws:iam::{FOREIGN}:role/r", "change"),
        ("f00001", "foreign_service_source", other, None, False, "sns.amazonaws.com", "invoke"),
        ("f00001", "foreign_service_source", FOREIGN, None, True, "sns.amazonaws.com", "invoke"),
        ("f00002", "organization", None, "o-a1b2c3d4e5", None, "*", "invoke"),
        ("f00003", "limited", FOREIGN, None, True, "*", "invoke"),
    ]


def test_function_urls_open(connection):
    """URLs without AWS_IAM are listed with their verdict and CORS."""
    targets = [of(*cases.OPEN_URL, url="NONE"), Target(url="NONE"), Target(url="AWS_IAM")]
    rows = exposure.rows_of(targets)
    rows["function_urls"][0] |= {"cors_allow_origins": '["*"]', "cors_allow_credentials": True}
    query = "SELECT function_name, verdict, has_cors, is_any_origin, cors_allow_credentials FROM function_urls_open"

    assert ask(connection, targets, query, function_urls=rows["function_urls"]) == [
        ("f00000", "internet", True, True, True),
        ("f00001", "url_broken", False, False, None),
    ]


def test_accounts_and_regions_stay_apart(connection):
    """Policies, conditions and URLs of the same function name in another account or Region change nothing."""
    rows = exposure.rows_of([of(allow(), cases.deny(condition=cases.OWN_ACCOUNT, Resource="*"), url="NONE")])
    foreign = [{"account_id": FOREIGN}, {"region": "us-east-1"}]
    for name in ("policy_statements", "policy_conditions", "function_urls"):
        rows[name] = [place | row for row in rows[name] for place in foreign]
    rows["functions"] += [place | rows["functions"][0] for place in foreign]
    rows["scope_resources"] += [place | row for place in foreign for row in rows["scope_resources"]]
    query = "SELECT account_id, region, verdict FROM function_exposure"
    exposure.fill(connection, rows)

    assert [tuple(row.values()) for row in exposure.ask(connection, query)] == [
        (A, R, "none"),
        (A, "us-east-1", "any_aws_account?"),
        (FOREIGN, R, "any_aws_account?"),
    ]


def test_verdicts_are_those_of_the_guide(connection):
    """exposure_verdicts has every verdict of the tests in the order of the guide, with the words of the guide."""
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "exposure.md").read_text(encoding="utf-8")
    listed = re.findall(
        r"^\| `([a-z_?]+)` \| ([^|]+) \|$", guide.partition("| verdict | who can use it |")[2], re.MULTILINE
    )
    shown = [(row["verdict"], row["who"]) for row in exposure.ask(connection, "FROM exposure_verdicts ORDER BY rank")]

    assert listed == shown
    assert [verdict for verdict, _ in shown if verdict != "unread"] == list(oracle.ORDER)
