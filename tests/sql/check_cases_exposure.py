"""Checks of policies and function URLs: targets, and the expected findings. Function number N is target number N."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

cases = SimpleNamespace(**run_path(str(Path(__file__).with_name("exposure_cases.py"))))
exposure = cases.exposure
A, FOREIGN, LATEST, Target = exposure.A, exposure.FOREIGN, exposure.LATEST, exposure.Target
of, allow, service, where = cases.of, cases.allow, cases.service, cases.where
TRUSTED = "999988887777"
OTHER = "444455556666"


def deny(**more):
    """Return a Deny for whatever has the policy: each case is in a Region of its own."""
    return cases.deny(**{"Resource": "*", **more})


def rows(*targets, **tables):
    """Return the rows of targets; ``tables`` replace those of a table."""
    found = exposure.rows_of(targets) | tables
    return {name: rows for name, rows in found.items() if name != "scopes"}


def finding(number, subject=None, version=LATEST, **details):
    return (f"f{number:05d}", version, subject, details)


def statuses(policies="complete", urls="complete", **others):
    given = {"policies": policies, "urls": urls, **others}
    return [{"resource": name.replace("_", "-"), "status": status} for name, status in given.items()]


DENIED = where("StringNotEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5")
URL_OF = "https://f{:05d}.example/".format
ROLE = f"arn:aws:iam::{OTHER}:role/r"

CASES = {
    ("internet", "verdicts"): (
        rows(
            of(*cases.OPEN_URL, url="NONE"),
            of(*cases.OPEN_URL, url="NONE", qualifier="live"),
            of(*cases.OPEN_URL, deny(condition=DENIED), url="NONE"),
            Target(is_policy_read=False, url="NONE"),
            of(*cases.OPEN_URL, url="AWS_IAM"),
            of(*cases.OPEN_URL, deny(), url="NONE"),
        ),
        [
            finding(0, verdict="internet", sid="s", function_url=URL_OF(0)),
            finding(1, version="live", verdict="internet", sid="s", function_url=URL_OF(1)),
            finding(2, verdict="internet?", sid="s", function_url=URL_OF(2)),
            finding(3, verdict="internet?", sid=None, function_url=URL_OF(3)),
        ],
    ),
    ("any_aws_account", "verdicts"): (
        rows(
            of(allow()),
            of(allow(action="lambda:*"), deny(condition=DENIED), qualifier="7"),
            of(*cases.OPEN_URL, url="AWS_IAM"),
            of(allow(), deny()),
            of(allow({"AWS": A})),
        ),
        [
            finding(0, verdict="any_aws_account", action_class="invoke", sid="s", action=cases.INVOKE),
            finding(1, version="7", verdict="any_aws_account?", action_class="change", sid="s", action="lambda:*"),
            finding(2, verdict="any_aws_account_via_url", action_class="invoke", sid="s", action=cases.INVOKE),
        ],
    ),
    ("public_unclear", "verdicts"): (
        rows(
            of(allow(condition=where("StringEquals", "aws:UserAgent", "x"))),
            Target("no policy"),
            of(allow({"Federated": "x"})),
            of(allow(condition=where("StringEquals", "aws:SourceVpc", "vpc-1"))),
        ),
        [
            finding(
                0,
                verdict="public?",
                sid="s",
                statement=0,
                principal="*",
                condition_json='{"StringEquals":{"aws:UserAgent":"x"}}',
            ),
            finding(1, verdict="public?", sid=None, statement=None, principal=None, condition_json=None),
            finding(2, verdict="unknown", sid="s", statement=0, principal="x", condition_json=None),
        ],
    ),
    ("confused_deputy", "services"): (
        rows(
            of(allow(condition=where("StringEquals", "aws:SourceVpc", "vpc-1")), service(action="lambda:*")),
            of(allow(), service("events"), deny(condition=DENIED)),
            of(service(condition=cases.OWN_ACCOUNT), service("eks")),
        ),
        [
            finding(0, "sns.amazonaws.com", sid="s", statement=1, verdict="confused_deputy"),
            finding(1, "events.amazonaws.com", sid="s", statement=1, verdict="confused_deputy?"),
        ],
    ),
    ("foreign_service_source", "accounts"): (
        rows(
            of(service(condition=where("StringEquals", "aws:SourceAccount", [TRUSTED, OTHER]), action="lambda:*")),
            of(service(condition=where("ArnLike", "aws:SourceArn", f"arn:aws:sns:eu-west-1:{TRUSTED}:t"))),
            of(service(condition=where("ArnLike", "aws:SourceArn", cases.OWN_TOPIC))),
        ),
        [finding(0, OTHER, principal="sns.amazonaws.com", sid="s", statement=0, is_in_dataset=False)],
    ),
    ("service_weak", "buckets"): (
        rows(of(service("s3", cases.BUCKET)), of(service("s3", {**cases.BUCKET, **cases.OWN_ACCOUNT}))),
        [finding(0, "arn:aws:s3:::bucket", sid="s", statement=0)],
    ),
    ("cross_account", "accounts"): (
        rows(
            of(allow({"AWS": [ROLE, TRUSTED]}, ["lambda:GetFunction", cases.INVOKE])),
            of(allow(condition=where("StringEquals", "aws:PrincipalAccount", OTHER)), qualifier="live"),
            of(allow({"AWS": A}), allow(condition=where("StringEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5"))),
        ),
        [
            finding(0, OTHER, principal=ROLE, action_class="invoke", sid="s", statement=0, is_in_dataset=False),
            finding(0, OTHER, principal=ROLE, action_class="read code", sid="s", statement=0, is_in_dataset=False),
            finding(1, OTHER, "live", principal="*", action_class="invoke", sid="s", statement=0, is_in_dataset=False),
        ],
    ),
    ("dead_principal", "ids"): (
        rows(of(allow(), allow({"AWS": ["AROAEXAMPLEEXAMPLE123", A]})), of(allow({"AWS": A}))),
        [finding(0, "AROAEXAMPLEEXAMPLE123", sid="s", statement=1)],
    ),
    ("latent", "urls"): (
        rows(of(cases.OPEN_URL[1]), of(*cases.OPEN_URL, url="NONE"), of(cases.OPEN_URL[1], is_url_read=False)),
        [finding(0, sid="s", statement=0, action=cases.INVOKE)],
    ),
    ("url_broken", "statements"): (
        rows(
            of(allow(action=cases.URL, condition=cases.FOR_NONE), url="NONE"),
            Target(url="NONE", qualifier="live"),
            of(service(), cases.OPEN_URL[0], url="NONE"),
            of(*cases.OPEN_URL, url="NONE"),
            Target(url="AWS_IAM"),
        ),
        [
            finding(0, url_auth_type="NONE", function_url=URL_OF(0), sid="s"),
            finding(1, version="live", url_auth_type="NONE", function_url=URL_OF(1), sid=None),
            finding(2, url_auth_type="NONE", function_url=URL_OF(2), sid="s"),
        ],
    ),
    ("policy_unread", "failed"): (
        rows(
            Target(is_policy_read=False),
            of(allow(), is_policy_read=False, qualifier="live"),
            Target(is_url_read=False),
            Target(),
            scope_resources=statuses("partial", "partial"),
        ),
        [
            finding(0, "policies", status="partial"),
            finding(1, "policies", "live", status="partial"),
            finding(2, "urls", status="partial"),
        ],
    ),
    ("policy_unread", "denied"): (
        rows(Target(), Target(url="NONE"), scope_resources=statuses("denied", "denied")),
        [(None, None, "policies", {"status": "denied"}), (None, None, "urls", {"status": "denied"})],
    ),
    ("policy_unread", "not requested"): (
        rows(
            Target(),
            aliases=[{"function_name": "f00000", "alias": "live"}],
            scope_resources=statuses("complete", "not_requested", alias_policies="not_requested"),
        ),
        [],
    ),
}
