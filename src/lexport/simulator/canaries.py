"""Environment variables with secrets of many kinds, and the rule that should detect each. Written by hand.

No value is a real credential. The values are split in the source, so that secret scanners do not report them.
"""

from __future__ import annotations

_HEX = "0123456789abcdef" * 4
_MIXED = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1eF2gH4jK6m"

CANARIES: dict[str, tuple[str, str | None]] = {
    "GIT_AUTH": ("gh" + "p_" + _MIXED[:36], "github_token"),
    "DEPLOY_AS": ("AK" + "IA" + "QWERTYUIOP234567", "aws_access_key"),
    "SIGNER_PEM": ("-----BEGIN " + "PRIVATE KEY-----\nMIIB" + _MIXED, "private_key"),
    "BILLING": ("sk" + "_live_" + _MIXED[:24], "stripe_key"),
    "REPORTS_DB": ("postgres://app:" + "s3cr3t-Pw" + "@db.internal:5432/app", "url_password"),
    "SESSION_SECRET": (_HEX[:64], "random_secret"),
    "DB_PASSWORD": ("hunter2" + "!", "secret_name"),
    "DB_PASSWORD_SSM": ("/prod/db/password", None),
    "DB_PASSWORD_ARN": ("arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-AbCdEf", None),
    "TOKEN_URL": ("https://login.example.com/oauth2/token", None),
    "PASSWORD_MIN_LENGTH": ("12", None),
}
"""Name -> value, and the rule that should detect the secret, or None."""


def secret_rule(name: str, value: str) -> str | None:
    """Return the rule that a correct snapshot has for a variable of the fleet."""
    if name in CANARIES and value == CANARIES[name][0]:
        return CANARIES[name][1]
    return "secret_name" if name == "API_KEY" or name.startswith("API_KEY_") else None
