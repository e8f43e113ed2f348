"""Strategies of policies and URLs, from what the truth table tells apart."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

from hypothesis import strategies as st

exposure = SimpleNamespace(**run_path(str(Path(__file__).with_name("exposure.py"))))
A, FOREIGN, Target = exposure.A, exposure.FOREIGN, exposure.Target

AWS = [
    "*",
    A,
    FOREIGN,
    f"arn:aws:iam::{A}:root",
    f"arn:aws:iam::{FOREIGN}:role/r",
    f"arn:aws:sts::{FOREIGN}:assumed-role/r/s",
    "AROAEXAMPLEEXAMPLE123",
    "AIDAEXAMPLEEXAMPLE123",
    "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1",
    "nobody",
    f"arn:aws-cn:iam::{A}:root",
    "1111-2222-33",
    "AIDA",
]
SERVICES = [
    "s3.amazonaws.com",
    "sns.amazonaws.com",
    "secretsmanager.amazonaws.com",
    "eks.amazonaws.com",
    "alexa-appkit.amazon.com",
]
ACTIONS = [
    *("lambda:InvokeFunction", "lambda:InvokeFunctionUrl", "lambda:invokefunction", "lambda:InvokeAsync"),
    *("lambda:GetFunction", "lambda:GetPolicy", "lambda:UpdateFunctionCode", "lambda:TagResource"),
    *("*", "lambda:*", "lambda:Invoke*", "lambda:InvokeFunctionU*", "lambda:Get*", "lambda:Update*", "lambda:L*"),
]
OPERATORS = {
    "StringEquals": 6,
    "StringLike": 2,
    "ArnLike": 4,
    "ForAnyValue:StringEquals": 2,
    "ForAllValues:StringEquals": 1,
    "StringEqualsIfExists": 1,
    "StringNotEquals": 1,
    "Null": 1,
}
ARNS = [
    f"arn:aws:sns:eu-west-1:{A}:t",
    f"arn:aws:execute-api:eu-west-1:{A}:x/*/GET/y",
    f"arn:aws:sns:eu-west-1:{FOREIGN}:t",
    "arn:aws:s3:::bucket",
    "arn:aws:s3:::*",
    "arn:aws:sns:eu-west-1:*:t",
]
ORGANIZATION = ["o-a1b2c3d4e5", "o-*"]
VALUES = {
    "AWS:SourceArn": ARNS,
    "aws:PrincipalArn": ARNS[:3],
    "aws:SourceAccount": [A, FOREIGN, "*"],
    "AWS:SourceOwner": [A, FOREIGN],
    "aws:PrincipalAccount": [A, FOREIGN],
    "aws:PrincipalOrgID": ORGANIZATION,
    "aws:SourceOrgID": ORGANIZATION,
    "aws:PrincipalOrgPaths": ["o-a1b2c3d4e5/*", "*"],
    "aws:SourceVpc": ["vpc-1", "vpc-*", "${aws:PrincipalTag/vpc}"],
    "aws:ResourceAccount": [A],
    "aws:UserAgent": ["x", "*"],
    "lambda:EventSourceToken": ["amzn1.ask.skill.x", "*"],
    "lambda:FunctionUrlAuthType": ["NONE", "AWS_IAM"],
}
ONE = [
    {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
    {"Bool": {"lambda:InvokedViaFunctionUrl": "false"}},
    {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
    {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}},
    {"Bool": {"aws:SourceAccount": "true"}},
    {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
    {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/0"]}},
    {"IpAddress": {"aws:SourceIp": [f"{number}.0.0.0/8" for number in range(256)]}},
    {"IpAddress": {"aws:SourceIp": ["::ffff:203.0.113.0/120"]}},
    {"IpAddress": {"aws:SourceIp": "::ffff:0.0.0.0/96"}},
]


def one_or_list(items):
    return st.sampled_from(items) | st.lists(st.sampled_from(items), min_size=1, max_size=3, unique=True)


PRINCIPALS = st.one_of(
    st.just("*"),
    st.builds(lambda names: {"AWS": names}, one_or_list(AWS)),
    st.builds(lambda names: {"Service": names}, one_or_list(SERVICES)),
    st.builds(lambda aws, service: {"AWS": aws, "Service": service}, one_or_list(AWS), one_or_list(SERVICES)),
    st.sampled_from([{"Federated": "cognito-identity.amazonaws.com"}, {"CanonicalUser": "79a59df900b949e5"}]),
)
SOME = st.sampled_from(list(VALUES)).flatmap(
    lambda key: st.builds(
        lambda operator, values: {operator: {key: values}},
        st.sampled_from([name for name, weight in OPERATORS.items() for _ in range(weight)]),
        one_or_list(VALUES[key]),
    )
)


def _merged(parts):
    condition = {}
    for part in parts:
        for operator, keys in part.items():
            condition[operator] = condition.get(operator, {}) | keys
    return condition


CONDITIONS = st.one_of(
    st.just({}), st.sampled_from(ONE), SOME, st.lists(SOME | st.sampled_from(ONE), min_size=2, max_size=3).map(_merged)
)
RESOURCES = st.sampled_from(["{arn}", "{arn}", "*", "{function}", "{function}*", "{function}:*", "arn:aws:lambda:x"])
RARELY = st.sampled_from([False] * 7 + [True])


@st.composite
def statements(draw):
    """Return a statement: most allow, with `*` and the two actions of a URL more often than anything else."""
    is_deny = draw(st.sampled_from([False, False, True]))
    not_principal, not_action = draw(RARELY), draw(RARELY)
    statement = {
        "Effect": "Deny" if is_deny else "Allow",
        "NotPrincipal" if not_principal else "Principal": draw(
            st.just("*") if is_deny and not not_principal else PRINCIPALS
        ),
        "NotAction" if not_action else "Action": draw(one_or_list(ACTIONS[:2]) | one_or_list(ACTIONS)),
        "Resource": draw(RESOURCES),
    }
    condition = draw(st.just({}) | CONDITIONS if is_deny else CONDITIONS)
    return statement | ({"Condition": condition} if condition else {})


TARGETS = st.builds(
    lambda parts, url, qualifier, unread: Target(
        None if parts is None else {"Version": "2012-10-17", "Statement": parts},
        url,
        qualifier,
        is_policy_read=unread != "policy",
        is_url_read=unread != "url",
    ),
    st.lists(statements(), max_size=4) | st.none(),
    st.sampled_from([None, "NONE", "NONE", "AWS_IAM"]),
    st.sampled_from([exposure.LATEST, "live"]),
    st.sampled_from([None] * 10 + ["policy", "url"]),
)
