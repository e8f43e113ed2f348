"""Which environment variables pass for secrets. Values are put together, so that no scanner takes them for real."""

import importlib.util
import random
import re
from pathlib import Path

import pytest

from lexport.extract.secret_formats import VALUE_RULES
from lexport.extract.secret_rules import RULE_NAMES, name_means_secret, secret_rule

DATA = Path(__file__).parents[2] / "data"
SPEC = importlib.util.spec_from_file_location("variables", DATA / "variables.py")
LIST = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(LIST)
MIXED = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1eF2gH4jK6m"
HEX = "0123456789abcdef" * 4
SECRETS = {
    "private_key": ["-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE", "x=-----BEGIN " + "PRIVATE KEY-----"],
    "aws_access_key": ["AKIA" + "QWERTYUIOP234567", '{"id": "ASIA' + 'QWERTYUIOP234567"}'],
    "github_token": ["gh" + "p_" + MIXED[:36], "gh" + "s_" + MIXED[:36], "github" + "_pat_" + MIXED[:30]],
    "gitlab_token": ["gl" + "pat-" + MIXED[:20]],
    "slack_token": ["xo" + "xb-1234567890-" + MIXED[:12], "xa" + "pp-1-A0-" + MIXED[:12]],
    "slack_webhook": ["https://hooks.slack" + ".com/services/T0A/B0B/" + MIXED[:24]],
    "stripe_key": ["sk" + "_live_" + MIXED[:24], "rk" + "_test_" + MIXED[:24], "wh" + "sec_" + MIXED[:24]],
    "google_key": ["AI" + "za" + MIXED[:35], "GOC" + "SPX-" + MIXED[:28]],
    "npm_token": ["np" + "m_" + MIXED[:36]],
    "pypi_token": ["py" + "pi-" + MIXED + MIXED],
    "sendgrid_key": ["S" + "G." + MIXED[:22] + "." + MIXED + "abc"],
    "twilio_key": ["S" + "K" + HEX[:32]],
    "mailgun_key": ["ke" + "y-" + HEX[:32]],
    "model_provider_key": ["s" + "k-" + MIXED, "s" + "k-ant-" + MIXED],
    "databricks_token": ["da" + "pi" + HEX[:32]],
    "digitalocean_token": ["do" + "p_v1_" + HEX],
    "shopify_token": ["sh" + "pat_" + HEX[:32]],
    "vault_token": ["hv" + "s." + MIXED],
    "jwt": ["ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxIn0.c2lnbmF0dXJl"],
    "azure_key": ["DefaultEndpointsProtocol=https;AccountName=a;Account" + "Key=" + MIXED + "=="],
    "url_password": ["postgres://app:" + "pw@db:5432/app", "redis://:" + "pw@cache:6379", "see amqp://a:" + "b@c"],
    "connection_password": [
        "Server=db;User Id=app;Pass" + "word=hunter2;",
        "jdbc:x://db/a?user=b&pass" + "word=hunter2",
    ],
}
HARMLESS = [
    ("SECRET_NAME", "prod/db"),
    ("SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-AbCdEf"),
    ("TOKEN_URL", "https://login.example.com/oauth2/token"),
    ("KEY_ID", "1f2e3d4c"),
    ("KMS_KEY_ID", "0f5c2f8e-9d0a-4a2b-8a3c-1c2d3e4f5a6b"),
    ("PASSWORD_MIN_LENGTH", "8"),
    ("TOKEN_TTL", "3600"),
    ("TOKEN", "3600"),
    ("MAX_TOKENS", "4096"),
    ("USE_SECRET", "true"),
    ("PASSWORD", ""),
    ("PASSWORD", "  "),
    ("PASSWORD", "********"),
    ("DB_PASSWORD", "{{resolve:secretsmanager:prod/db}}"),
    ("DB_PASSWORD", "/prod/db/password"),
    ("DB_PASSWORD", "prod/db/password"),
    ("DB_PASSWORD", "ssm:/prod/db"),
    ("DB_PASSWORD", "${DB_PASSWORD}"),
    ("DB_PASSWORD", "AQICAHh" + MIXED),
    ("PUBLIC_KEY", MIXED),
    ("PARTITION_KEY", "pk"),
    ("SORT_KEY", "createdAt"),
    ("MONKEY", "banana"),
    ("BYPASS_CACHE", "always"),
    ("COMPASS", "north"),
    ("AUTHOR", "alice"),
    ("KEYCLOAK_REALM", "main"),
    ("COMMIT_SHA", HEX[:40]),
    ("DATABASE_URL", "postgres://app@db.internal:5432/app"),
    ("DATABASE_URL", "postgres://app:${PASSWORD}@db.internal:5432/app"),
    ("ENDPOINT", "http://db.internal:8080/a@b"),
    ("SENTRY_DSN", "https://0123456789abcdef@o1.ingest.sentry.io/2"),
    ("EMAIL", "alice@example.com"),
    ("CERTIFICATE", "-----BEGIN CERTIFICATE-----\nMIIB"),
    ("SKU", "SK1234"),
    ("TASK", "task-" + MIXED),
    ("DESCRIPTION", "the password= is set elsewhere"),
    ("DECRYPTION_SECRET", "0f5c2f8e-9d0a-4a2b-8a3c-1c2d3e4f5a6b"),
    ("ENCRYPTION_SECRET", "0F5C2F8E-9D0A-4A2B-8A3C-1C2D3E4F5A6B"),
    ("CMK_SECRET", "0f5c2f8e-9d0a-4a2b-8a3c-1c2d3e4f5a6b"),
    ("KMS_SECRET", "0f5c2f8e-9d0a-4a2b-8a3c-1c2d3e4f5a6b"),
]


@pytest.mark.parametrize(("rule", "value"), [(rule, value) for rule, values in SECRETS.items() for value in values])
def test_values(rule, value):
    """A provider's token is known by its format, whatever the variable is called."""
    assert secret_rule("SETTING", value) == rule


@pytest.mark.parametrize(("name", "value"), HARMLESS)
def test_harmless(name, value):
    """Names about secrets, references to secrets, switches and numbers are no findings."""
    assert secret_rule(name, value) is None


@pytest.mark.parametrize("name", ["DB_PASSWORD", "dbPassword", "API_KEY", "apiKey", "APIKEY", "app.secret", "Token2"])
def test_names(name):
    """A name that says secret is enough where the value is no reference."""
    assert secret_rule(name, "hunter2!") == "secret_name"


@pytest.mark.parametrize("name", ["STRIPE_KEY", "JWT_SECRET", "AUTH", "CREDS", "HASH_SALT"])
def test_random_values(name):
    """A random value turns a name that may say secret into a finding, and a firm one into a firmer."""
    assert secret_rule(name, MIXED) == secret_rule(name, HEX[:32]) == "random_secret"


MAYBE, FIRM = "STRIPE_KEY", "DB_PASSWORD"
TEN = "aB1cD2eF3g"  # ten different characters


@pytest.mark.parametrize(
    ("value", "is_random"),
    [
        (TEN * 2, True),
        ((TEN * 2)[:19], False),
        ("aB1cD2eF3a" * 3, False),  # nine different ones
        (TEN.lower() * 3, False),
        (TEN.upper() * 3, False),
        ("aBcDeFgHiJkLmNoPqRsT", False),
        ("abcdefghijklmnopqrst", False),
        (HEX[:32], True),
        (HEX[:31], False),
        (HEX[:32].upper(), True),
        (HEX[:31] + "A", True),  # of both cases, with a digit
        (f"base64:{TEN * 2}", True),
        (f"x,{TEN * 2}", True),
        (f"{TEN} {TEN}", False),
        (f"  {TEN * 2}\n", True),
    ],
)
def test_what_looks_random(value, is_random):
    """Twenty characters of ten kinds, of both cases and with a digit, or 32 of hex: the boundaries are exact."""
    assert secret_rule(MAYBE, value) == ("random_secret" if is_random else None)


@pytest.mark.parametrize(
    ("value", "is_found"),
    [
        ("12345", False),
        ("123456", True),
        ("86400s", False),
        ("123456s", True),
        (" true ", False),
        (" hunter2 ", True),
        ("aaaaaaaaaaaaaaaa", False),
        ("aaaab", True),
        ("AQICAH" + TEN, False),
        ("AQECAH" + TEN, False),
        ("AQEDAH" + TEN, False),
        ("AQEEAH" + TEN, True),
        ("./keys/a", False),
        ("../the keys", False),
        (".../the keys", False),
        ("..the keys", True),
        ("~/a", False),
        ("/a", False),
        ("a.pem", False),
        ("a.pam", True),
        ("a/b", False),
        (TEN + "/" + TEN, True),
        ("prod-db-password", False),
        ("prod-password", True),
        ("prod-db-passwort", True),
        ("qa.password", True),
        ("dbPassword", False),  # the name again
        ("d.b.p.a.s.s.w.o.r.d", False),
        ("dbPassword2", True),
        ("exchange", True),
        ("changeme1", False),
        ("sample", False),
        ("samples1", True),
        ("ssmx", True),
        ("xssm:/a", True),
        ("env:A", False),
        ("0f5c2f8e-9d0a-4a2b-8a3c-1c2d3e4f5a6b", True),
        ("password", False),
        ("password1", True),
        ("x" * 4 + TEN, False),
        ("x" * 3 + TEN, True),
    ],
)
def test_harmless_values(value, is_found):
    """Under a name that says secret each of these is told apart from its neighbour."""
    assert (secret_rule(FIRM, value) is not None) is is_found


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ACCESS_LOG", None),
        ("API_STAGE", None),
        ("SHARED_SECRET", True),
        ("ACCESS_KEY", True),
        ("CACHE_KEY", None),
        ("CACHE_KEYS", None),
        ("STRIPE_KEY", False),
        ("KEY_STRIPE", False),
        ("SECRET_NAME", None),
        ("NAME_SECRET", True),
        ("SECRET_NAME_TOKEN", True),
        ("TOKEN_SECRET_NAME", None),
        ("TOKEN_STRIPE", True),
        ("TOKEN_OF_MINE", False),
        ("PUBLIC_TOKEN", None),
        ("NEXT_PUBLIC_TOKEN", None),
        ("TOKEN_URL_PROD", None),
        ("TOKEN_PROD_URL", None),
        ("TOKEN_MINE_PROD", False),
        ("TOKEN_PROD_MINE", False),
        ("USE_TOKEN", None),
        ("TOKEN_USE", False),
        ("DBPASS", True),
        ("DB_PASS", True),
        ("PASS_DB", False),
        ("PASS", False),
        ("BOARDING_PASS", False),
        ("DB_BOARDING_PASS", False),
        ("MY_DB_PASS", True),
        ("DBPW", True),
        ("MY_DBPW", True),
        ("DBPSW", True),
        ("COMPASS", None),
        ("MONKEY", None),
        ("APPKEY", False),
        ("SECRETKEY", True),
        ("TOKENURL", None),
        ("CLIENTSECRETARN", None),
        ("MYTOKENPROD", True),
        ("PASSWORDLESS", None),
        ("API_KEYS", False),
        ("PASSWORDS", True),
        ("", None),
        ("_", None),
        ("\u00e9", None),
    ],
)
def test_what_a_name_says(name, told):
    """The last word of a name says what it is: a secret, something about one, or perhaps one."""
    assert name_means_secret(name) is told


def lines(name):
    """Yield the two parts of each line of a list."""
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield line.split(" ", 1)


@pytest.mark.parametrize(("kind", "told"), [("secret", True), ("perhaps", False), ("none", None)])
def test_many_names(kind, told):
    """Each name of the list says what it says there, with and without separators."""
    names = [name for found, text in lines("names.txt") if found == kind for name in text.split()]

    assert len(names) > 50
    assert [name for name in names if name_means_secret(name) is not told] == []


def test_each_kind_of_token():
    """Each kind of token that a provider documents is known, alone and behind other text."""
    wrong = []
    for rule, value in lines("formats.txt"):
        token = LIST.written_out(value, random.Random(value))
        wrong += [value for text in (token, f"see: {token}") if secret_rule("SETTING", text) != rule]

    assert wrong == []


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("BASIC_AUTH", "admin:s3cr", "secret_name"),
        ("creds", "admin:s3cr", "secret_name"),
        ("BASIC_AUTH", "admin:s3c", None),
        ("BASIC_AUTH", "db.internal:8080", None),
        ("BASIC_AUTH", "db.internal:8080a", "secret_name"),
        ("BASIC_AUTH", "a b:s3cret", None),
        ("BASIC_AUTH", "a:s3cret/b", None),
        ("AUTH_HOST", "admin:s3cr", None),
        ("STRIPE_KEY", "admin:s3cr", None),
    ],
)
def test_user_and_password(name, value, rule):
    """A user, a colon and a password are one under names that speak of authentication; a host and a port are not."""
    assert secret_rule(name, value) == rule


def test_every_rule_can_be_told():
    """Each rule has an example, in this file or in the list of variables; names are plain words."""
    found = {secret_rule(name, value) for _, _, name, value in LIST.variables()}

    assert found | set(SECRETS) >= {rule.name for rule in VALUE_RULES}
    assert set(SECRETS) <= set(RULE_NAMES)
    assert all(re.fullmatch("[a-z_]+", name) for name in RULE_NAMES)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("pwd=1234", "connection_password"),
        ("pwd=123", None),
        ("xpwd=1234", None),
        ("hv" + "b." + MIXED, "vault_token"),
        ("x" + "hv" + "b." + MIXED, None),
        ("é" + "hv" + "b." + MIXED, "vault_token"),
        ("AK" + "IA" + "QWERTYUIOP23456", None),
        ("AK" + "IA" + "QWERTYUIOP2345678", None),
        ("a AK" + "IA" + "QWERTYUIOP234567;", "aws_access_key"),
        ("Basic " + "YWRtaW46cHc=", "authorization"),
        ("Basic " + "YWRtaW4=", None),
        ("Basic " + "YWRtaW46", None),
        ("Basic " + "YWRtaW46cHc==", None),  # a sign of equality too many
        ("Basic " + "YTr//v0=", None),  # a, a colon and bytes that are no text
        ("Basic authentication", None),
        ("Bearer " + "abcdefghijklmno1", "authorization"),
        ("Bearer " + "abcdefghijklmn1", None),
        ("Bearer " + "abcdefghijklmnop", None),
        ("Bearer ${TOKEN_OF_1234567890}", None),
        ("s" + "k-" + "a1b2c3d4" * 4, "model_provider_key"),
        ("s" + "k-" + "a1b2c3d4" * 3 + "a1b2c3d", None),
        ("s" + "k-" + "abcdefgh" * 4, None),
        ('{"pass' + 'word": "abcd"}', "json_secret"),
        ('{"pass' + 'word": "abc"}', None),
        ('{"pass' + 'word": "<pw>"}', None),
        ('{"pass' + 'word_field": "abcd"}', None),
        ('"{\\"pass' + 'word\\":\\"abcd\\"}"', "json_secret"),
        ("x://a:b@c", "url_password"),
        ("x://a:password@c", None),
        ("x://a:password@c,x://a:b@c", "url_password"),
        ("x://a:${b}@c", None),
        ("x://a:%s@c", None),
        ("x://a:%sb@c", None),
        ("x://a@c", None),
        ("x://a?to" + "ken=abcdefghijklmnop", None),
        ("x://a?to" + "ken=abcdefghijklmno1", "query_secret"),
        ('{"to' + 'ken": "3600"}', None),
        ('{"to' + 'ken": "s3600"}', "json_secret"),
    ],
)
def test_boundaries_of_formats(value, rule):
    """A character less, or one more before it, and it is no such token; a placeholder in its place is none."""
    assert secret_rule("SETTING", value) == rule


@pytest.mark.parametrize(("part", "least"), [("own", 1.0), ("held", 0.8)])
def test_figures(part, least):
    """The rules miss hardly a secret and report hardly anything else; docs/concepts/secrets.md has the figures."""
    _, precision, recall, wrong = LIST.figures(part)

    assert min(precision, recall) >= least, wrong
