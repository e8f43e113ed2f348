"""Which environment variables pass for secrets. Values are put together, so that no scanner takes them for real."""

import re

import pytest

from lexport.secret_rules import RULE_NAMES, VALUE_RULES, secret_rule

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


def test_every_rule_can_be_told():
    """Each rule of values has an example here, its hints are in what it matches, and names are plain words."""
    assert set(SECRETS) == {rule.name for rule in VALUE_RULES}
    assert all(re.fullmatch("[a-z_]+", name) for name in RULE_NAMES)
