"""The rows of the truth table, each with the smallest change that turns its verdict; and what other tools get wrong."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

exposure = SimpleNamespace(**run_path(str(Path(__file__).with_name("exposure.py"))))
A, FOREIGN, Target = exposure.A, exposure.FOREIGN, exposure.Target

INVOKE, URL = "lambda:InvokeFunction", "lambda:InvokeFunctionUrl"
FOR_NONE = {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}
FOR_IAM = {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}
VIA_URL = {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
OWN_TOPIC, OTHER_TOPIC = f"arn:aws:sns:eu-west-1:{A}:t", f"arn:aws:sns:eu-west-1:{FOREIGN}:t"
BUCKET = {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"}}


def allow(principal="*", action=INVOKE, condition=None, **more):
    return {
        "Sid": "s",
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": "{arn}",
        **({"Condition": condition} if condition else {}),
        **more,
    }


def deny(principal="*", action="lambda:*", condition=None, **more):
    return allow(principal, action, condition, **{"Effect": "Deny", "Sid": "d", **more})


def without(statement, *names):
    return {name: value for name, value in statement.items() if name not in names}


def of(*statements, **target):
    return Target({"Version": "2012-10-17", "Statement": list(statements)}, **target)


def service(name="sns", condition=None, action=INVOKE):
    return allow({"Service": f"{name}.amazonaws.com"}, action, condition)


def where(operator, key, value):
    return {operator: {key: value}}


OPEN_URL = (allow(action=URL, condition=FOR_NONE), allow(condition=VIA_URL))
ALEXA = {"Service": "alexa-appkit.amazon.com"}
TOKEN = where("StringEquals", "lambda:EventSourceToken", "amzn1.ask.skill.x")
FROM_OFFICE = where("IpAddress", "aws:SourceIp", "203.0.113.0/24")
OF_ORGANIZATION = where("StringEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5")
OF_BROWSER = where("StringLike", "aws:UserAgent", "x*")
OWN_ACCOUNT = where("StringEquals", "AWS:SourceAccount", A)

BOTH_WAYS = {
    "row 1": [
        (of(*OPEN_URL, url="NONE"), "internet"),
        (of(*OPEN_URL, url="AWS_IAM"), "any_aws_account_via_url"),
        (of(OPEN_URL[0], url="NONE"), "url_broken"),
    ],
    "row 1, no condition": [
        (of(allow(action=URL), allow(), url="NONE"), "internet"),
        (of(allow(action=URL), allow()), "any_aws_account"),
    ],
    "row 1, one statement": [
        (of(allow(action="lambda:Invoke*"), url="NONE"), "internet"),
        (of(allow(action=[INVOKE, "lambda:GetFunction"]), url="NONE"), "any_aws_account"),
    ],
    "row 2": [
        (of(allow()), "any_aws_account"),
        (of(allow({"AWS": "*"})), "any_aws_account"),
        (of(allow({"AWS": [A, "*"]})), "any_aws_account"),
        (of(allow({"AWS": A})), "own_account"),
    ],
    "row 3": [
        (of(allow(action="lambda:UpdateFunctionCode")), "any_aws_account"),
        (of(allow({"AWS": A}, "lambda:UpdateFunctionCode")), "own_account"),
    ],
    "row 4": [
        (of(OPEN_URL[1]), "latent"),
        (of(OPEN_URL[1], url="AWS_IAM"), "any_aws_account_via_url"),
        (of(OPEN_URL[1], url="NONE"), "url_broken"),
        (of(OPEN_URL[1], is_url_read=False), "public?"),
        (of(allow(condition=where("Bool", "lambda:InvokedViaFunctionUrl", "false"))), "public?"),
    ],
    "row 5": [
        (of(allow(action=URL), url="NONE"), "url_broken"),
        (of(allow(action=URL)), "latent"),
        (of(allow(action=URL), is_url_read=False), "public?"),
        (of(allow(action=URL), allow(condition={**VIA_URL, **FROM_OFFICE}), url="NONE"), "limited"),
        (of(allow(action=URL), allow(condition={**VIA_URL, **OF_ORGANIZATION}), url="NONE"), "organization"),
        (of(allow(action=URL), allow(condition={**VIA_URL, **OF_BROWSER}), url="NONE"), "public?"),
        (of(allow(action=URL), allow(condition={**VIA_URL, **FROM_OFFICE}), url="AWS_IAM"), "limited"),
        (of(allow(action=URL), allow({"AWS": A}), url="NONE"), "url_broken"),
    ],
    "row 5, the half of the URL is limited": [
        (of(allow(action=URL, condition={**FOR_NONE, **FROM_OFFICE}), OPEN_URL[1], url="NONE"), "limited"),
        (
            of(
                allow(
                    action=URL, condition={"StringEquals": FOR_NONE["StringEquals"] | OF_ORGANIZATION["StringEquals"]}
                ),
                OPEN_URL[1],
                url="NONE",
            ),
            "organization",
        ),
        (of(allow(action=URL, condition={**FOR_NONE, **OF_BROWSER}), OPEN_URL[1], url="NONE"), "public?"),
        (of(allow({"AWS": A}, URL, FOR_NONE), OPEN_URL[1], url="NONE"), "url_broken"),
    ],
    "row 6": [
        (of(allow(action=URL, condition=FOR_IAM), allow(condition=VIA_URL), url="AWS_IAM"), "any_aws_account_via_url"),
        (of(allow(action=URL), OPEN_URL[1], url="AWS_IAM"), "any_aws_account_via_url"),
        (of(allow(action=URL, condition=FOR_IAM), url="AWS_IAM"), "url_broken"),
        (of(allow(action=URL, condition=FOR_IAM)), "latent"),
        (of(allow(action=URL, condition=FOR_NONE), url="AWS_IAM"), "latent"),
    ],
    "row 7": [
        (of(allow(condition=where("StringEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5"))), "organization"),
        (of(allow(condition=where("StringNotEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5"))), "public?"),
        (
            of(allow(condition=where("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", ["o-a1b2c3d4e5/*"]))),
            "organization",
        ),
        (of(allow(condition=where("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", ["*"]))), "public?"),
    ],
    "row 8": [
        (of(allow(condition=where("ArnLike", "aws:SourceArn", OWN_TOPIC))), "limited"),
        (of(allow(condition=where("ArnLike", "aws:SourceArn", "arn:aws:sns:*:*:*"))), "public?"),
        (of(allow(condition=where("IpAddress", "aws:SourceIp", "203.0.113.0/24"))), "limited"),
        (of(allow(condition=where("IpAddress", "aws:SourceIp", "0.0.0.0/0"))), "public?"),
        (of(allow(condition=where("IpAddress", "aws:SourceIp", "::ffff:0.0.0.0/96"))), "public?"),
        (of(allow(condition=where("IpAddress", "aws:SourceIp", [f"{n}.0.0.0/8" for n in range(256)]))), "public?"),
        (of(allow(condition=where("StringEquals", "aws:PrincipalAccount", FOREIGN))), "limited"),
        (of(allow(condition=where("StringEquals", "aws:SourceVpce", ["vpce-1", "vpce-*"]))), "public?"),
    ],
    "row 8, one good key is enough": [
        (of(allow(condition={**OWN_ACCOUNT, "StringLike": {"aws:UserAgent": "*"}})), "limited"),
        (
            of(
                allow(
                    condition={"StringEqualsIfExists": {"AWS:SourceAccount": A}, "StringLike": {"aws:UserAgent": "*"}}
                )
            ),
            "public?",
        ),
    ],
    "row 9": [
        (of(allow(condition=where("StringEquals", "aws:UserAgent", "x"))), "public?"),
        (of(without(allow(), "Principal") | {"NotPrincipal": {"AWS": A}}), "public?"),
        (of(allow(condition=where("StringEquals", "aws:SourceVpc", "${aws:PrincipalTag/vpc}"))), "public?"),
        (of(allow(condition=where("StringEquals", "aws:SourceVpc", "vpc-1"))), "limited"),
        (of(allow(condition=where("Null", "aws:SourceVpc", "false"))), "public?"),
        (of(allow(condition=where("StringEquals", "aws:SourceVpc", []))), "public?"),
    ],
    "row 9, not understood": [
        (Target("no policy"), "public?"),
        (Target('{"Statement": [{"Effect": "Allow"}]}'), "public?"),
        (Target({"Statement": [], "statement": [allow()]}), "public?"),
        (Target({"Statement": [], "Statements": None}), "public?"),
        (Target({"Statement": [], "Id": "default", "Version": "2012-10-17"}), "none"),
        (of(allow({"AWS": [f"{number:012d}" for number in range(1001)]})), "public?"),
        (of(allow({"AWS": [f"{number:012d}" for number in range(900)]})), "cross_account"),
    ],
    "row 10": [
        (of(service(condition=where("ArnLike", "AWS:SourceArn", OWN_TOPIC))), "own_service"),
        (of(service(condition=where("ArnLike", "AWS:SourceArn", OTHER_TOPIC))), "foreign_service_source"),
        (
            of(service(condition=where("ArnLike", "AWS:SourceArn", f"arn:aws:execute-api:eu-west-1:{A}:x/*/GET/y"))),
            "own_service",
        ),
        (of(service(condition=where("ArnLike", "AWS:SourceArn", "arn:aws:sns:eu-west-1:*:t"))), "confused_deputy"),
        (of(service("s3", {**BUCKET, **OWN_ACCOUNT})), "own_service"),
        (of(service(condition=where("StringEquals", "aws:SourceOrgID", "o-a1b2c3d4e5"))), "organization"),
    ],
    "row 11": [
        (of(service("s3", {**BUCKET, "StringEquals": {"AWS:SourceAccount": FOREIGN}})), "foreign_service_source"),
        (of(service(condition=where("StringEquals", "aws:SourceAccount", [A, FOREIGN]))), "foreign_service_source"),
        (of(service(condition=where("StringEquals", "aws:SourceAccount", [A]))), "own_service"),
    ],
    "row 12": [
        (of(service("s3", BUCKET)), "service_weak"),
        (of(service("s3", {**BUCKET, **OWN_ACCOUNT})), "own_service"),
        (of(service("s3", where("ArnLike", "AWS:SourceArn", "arn:aws:s3:::*"))), "confused_deputy"),
        (of(service("sns", BUCKET)), "confused_deputy"),
    ],
    "row 13": [
        (of(service("secretsmanager")), "own_service"),
        (of(service("eks")), "own_service"),
        (of(service("events")), "confused_deputy"),
    ],
    "row 14": [
        (of(allow(ALEXA, condition=TOKEN)), "limited"),
        (of(allow(ALEXA)), "confused_deputy"),
        (of(allow(ALEXA, condition=where("StringEquals", "lambda:EventSourceToken", ["x", "*"]))), "confused_deputy"),
        (of(allow(ALEXA, "lambda:GetFunction", TOKEN)), "confused_deputy"),
        (of(service(condition=TOKEN)), "confused_deputy"),
    ],
    "row 15": [
        (of(service("apigateway")), "confused_deputy"),
        (of(service("apigateway", OWN_ACCOUNT)), "own_service"),
        (of(service("apigateway", where("Bool", "aws:SourceAccount", "true"))), "confused_deputy"),
        (of(service("apigateway", where("StringEquals", "aws:SourceAccount", "true"))), "confused_deputy"),
        (of(service("apigateway", where("StringEqualsIfExists", "aws:SourceAccount", A))), "confused_deputy"),
    ],
    "row 16": [
        (of(allow({"AWS": FOREIGN})), "cross_account"),
        (of(allow({"AWS": f"arn:aws:iam::{FOREIGN}:root"})), "cross_account"),
        (of(allow({"AWS": f"arn:aws:iam::{FOREIGN}:role/r"}, condition=OWN_ACCOUNT)), "cross_account"),
        (of(allow({"AWS": f"arn:aws:iam::{A}:role/r"})), "own_account"),
    ],
    "row 17": [
        (of(allow({"AWS": f"arn:aws:iam::{A}:root"})), "own_account"),
        (of(allow({"AWS": [f"arn:aws:iam::{A}:root", FOREIGN]})), "cross_account"),
    ],
    "row 18": [
        (of(allow({"AWS": "AROAEXAMPLEEXAMPLE123"})), "dead_principal"),
        (of(allow({"AWS": "AIDAEXAMPLEEXAMPLE123"})), "dead_principal"),
        (of(allow({"AWS": f"arn:aws:iam::{A}:role/AROAEXAMPLEEXAMPLE123"})), "own_account"),
        (of(allow({"AWS": "AIDA"})), "unknown"),
        (of(allow({"AWS": "AROA-is no id of a role"})), "unknown"),
    ],
    "row 19": [
        (of(allow({"Federated": "cognito-identity.amazonaws.com"})), "unknown"),
        (of(allow({"CanonicalUser": "79a59df900b949e5"})), "unknown"),
        (of(allow({"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"})), "unknown"),
        (of(allow({"AWS": A})), "own_account"),
        (of(allow({"AWS": f"arn:aws-cn:iam::{A}:root"})), "unknown"),
        (of(allow({"AWS": "1111-2222-33"})), "unknown"),
        (of(allow({"AWS": "arn:aws:iam::1111-2222-33:root"})), "unknown"),
    ],
    "the last row": [
        (Target(), "none"),
        (of(), "none"),
        (Target(url="AWS_IAM"), "none"),
        (Target(url="NONE"), "url_broken"),
        (Target(is_policy_read=False), "unread"),
        (Target(is_policy_read=False, url="NONE"), "internet?"),
        (Target(is_policy_read=False, url="AWS_IAM"), "unread"),
        (Target(is_url_read=False), "none"),
    ],
    "the worst of several": [
        (of(service(), allow({"AWS": FOREIGN}), allow(condition=OWN_ACCOUNT)), "confused_deputy"),
        (of(allow({"AWS": FOREIGN}), allow(condition=OWN_ACCOUNT)), "cross_account"),
        (of(allow(condition=OWN_ACCOUNT)), "limited"),
    ],
    "Deny": [
        (of(allow(), deny()), "none"),
        (of(allow(), deny(action=INVOKE)), "none"),
        (of(allow(), deny(action="lambda:GetFunction")), "any_aws_account"),
        (of(allow(action="lambda:GetFunction"), deny(action="lambda:Get*")), "none"),
        (of(allow(action="lambda:Get*"), deny(action="lambda:GetFunction")), "any_aws_account"),
        (of(allow(), deny({"AWS": FOREIGN})), "any_aws_account"),
        (of(allow({"AWS": FOREIGN}), deny({"AWS": FOREIGN})), "none"),
        (of(allow(), deny(Resource="arn:aws:lambda:eu-west-1:111122223333:function:other")), "any_aws_account"),
        (of(allow(), deny(Resource="{function}:*")), "any_aws_account"),
        (of(allow(), deny(Resource="{function}:*"), qualifier="live"), "none"),
        (of(allow(), deny(Resource="{function}"), qualifier="live"), "any_aws_account"),
        (of(allow(), without(deny(), "Resource") | {"NotResource": "x"}), "any_aws_account"),
        (of(allow(), deny({"Service": "*"})), "any_aws_account"),
        (of(allow(), without(deny(), "Action") | {"NotAction": "lambda:GetFunction"}), "none"),
        (
            of(allow(action="lambda:GetFunction"), without(deny(), "Action") | {"NotAction": "lambda:GetFunction"}),
            "any_aws_account",
        ),
    ],
    "Deny that IAM would refuse": [
        *(
            (of(allow(), deny() | more), "any_aws_account")
            for more in (
                {"condition": OWN_ACCOUNT},
                {"Conditions": OWN_ACCOUNT},
                {"Condition ": OWN_ACCOUNT},
                {"Resource": []},
                {"Resource": None},
                {"Condition": None},
                {"Unknown": None},
            )
        ),
        (of(allow(), deny(Resource="*")), "none"),
    ],
    "Deny of another partition": [
        (of(allow(), deny(Resource="x{arn}")), "any_aws_account"),
        (of(allow(), deny(Resource="arn:aws-cn{tail}")), "any_aws_account"),
        (of(allow(), deny(Resource="{arn}")), "none"),
    ],
    "Deny with a condition": [
        (
            of(allow(), deny(condition=where("StringNotEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5"))),
            "any_aws_account?",
        ),
        (
            of(allow(), deny(condition=where("StringNotEquals", "aws:PrincipalOrgID", "o-a")), deny(action=INVOKE)),
            "none",
        ),
        (of(allow(), without(deny(), "Principal") | {"NotPrincipal": {"AWS": A}}), "any_aws_account?"),
        (of(*OPEN_URL, deny(action=INVOKE, condition=OWN_ACCOUNT), url="NONE"), "internet?"),
        (of(*OPEN_URL, deny(action=INVOKE), url="NONE"), "url_broken"),
        (of(*OPEN_URL, deny(), url="NONE"), "url_broken"),
        (of(allow({"AWS": FOREIGN}), deny(condition=OWN_ACCOUNT)), "cross_account?"),
        (of(allow(condition=where("StringEquals", "aws:UserAgent", "x")), deny(condition=OWN_ACCOUNT)), "public?"),
    ],
    "NotAction": [
        (of(without(allow(), "Action") | {"NotAction": "lambda:InvokeFunction"}), "any_aws_account"),
        (of(without(allow(), "Action") | {"NotAction": ["lambda:GetFunction", "lambda:*"]}), "none"),
        (of(without(allow(), "Action") | {"NotAction": "lambda:InvokeFunction"}, deny()), "none"),
    ],
}
"""By row of the table: targets and verdicts; neighbours differ in what turns the verdict."""

CLASSES = [
    (of(allow()), "invoke"),
    (of(allow(action="lambda:InvokeAsync")), "invoke"),
    (of(allow(action="lambda:GetFunction")), "read code"),
    (of(allow(action="lambda:Get*")), "read code"),
    (of(allow(action="lambda:GetPolicy")), "other"),
    (of(allow(action="lambda:PutFunctionConcurrency")), "change"),
    (of(allow(action="LAMBDA:UPDATE*")), "change"),
    (of(allow(action="lambda:*")), "change"),
    (of(allow(action="*")), "change"),
    (of(allow(action="lambda:Up?ateFunctionCode")), "change"),
    (of(allow(action=["lambda:GetFunction", "lambda:DeleteFunction", INVOKE])), "change"),
    (of(without(allow(), "Action") | {"NotAction": INVOKE}), "change"),
    (of(allow(action="lambda:*"), deny(action="lambda:U*")), "change"),
]

OTHER_TOOLS = {
    "AWS Config and Security Hub are silent about services other than S3": (of(service("sns")), "confused_deputy"),
    "AWS Config reports S3 with SourceArn alone as public": (of(service("s3", BUCKET)), "service_weak"),
    "Prowler passes SourceArn *": (of(allow(condition=where("ArnLike", "aws:SourceArn", "*"))), "public?"),
    "Prowler counts aws:ResourceAccount": (
        of(allow(condition=where("StringEquals", "aws:ResourceAccount", A))),
        "public?",
    ),
    "Prowler and Cartography ignore Deny": (of(allow(), deny()), "none"),
    "Prowler failed service principals": (of(service(condition=OWN_ACCOUNT)), "own_service"),
    "Prowler and Cartography know no lambda: keys": (of(OPEN_URL[1]), "latent"),
    "Steampipe ignores conditions of an organization": (
        of(allow(condition=where("StringEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5"))),
        "organization",
    ),
    "Steampipe ignores SourceArn": (of(allow(condition=where("ArnLike", "aws:SourceArn", OWN_TOPIC))), "limited"),
    "Cartography does not read policies of aliases": (of(allow(), qualifier="live"), "any_aws_account"),
    "Cartography leaves NULL where a policy is denied": (Target(is_policy_read=False), "unread"),
    "Checkov ignores conditions": (of(allow(condition=where("StringEquals", "aws:SourceVpc", "vpc-1"))), "limited"),
    "cnspec failed every function with a policy": (of(allow({"AWS": A})), "own_account"),
    "Panther takes any condition as safe": (
        of(allow(condition=where("DateGreaterThan", "aws:CurrentTime", "2026-01-01T00:00:00Z"))),
        "public?",
    ),
    "Panther missed statements of URLs": (of(*OPEN_URL, url="NONE"), "internet"),
    "IfExists is met without the key": (
        of(allow(condition=where("StringEqualsIfExists", "aws:SourceAccount", A))),
        "public?",
    ),
    "ForAllValues is met without the key": (
        of(allow(condition=where("ForAllValues:StringEquals", "aws:SourceAccount", A))),
        "public?",
    ),
    "Not is met without the key": (of(allow(condition=where("StringNotLike", "aws:SourceArn", "x"))), "public?"),
    "NotPrincipal is everybody else": (
        of(without(allow(), "Principal") | {"NotPrincipal": {"AWS": FOREIGN}}),
        "public?",
    ),
    "an open URL with one statement answers 403": (of(allow(action=URL, condition=FOR_NONE), url="NONE"), "url_broken"),
}
"""By what public tools decide otherwise: a target and our verdict."""
