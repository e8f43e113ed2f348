"""(name, value) of an environment variable -> the name of the rule that takes it for a secret, or None.

The value is looked at while it is read and never stored: only the rule's name is. Rules of values know the format of a
provider's token; rules of names look at the words of the name, and at the value only to see that it is no reference.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import lru_cache

CACHED_NAMES = 4096


@dataclass(frozen=True, slots=True)
class ValueRule:
    """A format. ``hints``: one of them is in every such value, and looking for them is cheap. ``source`` names it."""

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    source: str


def _rule(name: str, hints: str, pattern: str, source: str) -> ValueRule:
    return ValueRule(name, tuple(hints.split()), re.compile(pattern), source)


VALUE_RULES = (
    _rule("private_key", "PRIVATE", r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----", "RFC 7468, RFC 4880"),
    _rule("aws_access_key", "AKIA ASIA", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", "IAM user guide, unique identifiers"),
    _rule("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh[pousr]_[A-Za-z0-9]{36,}", "GitHub docs, token formats"),
    _rule("github_token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{22,}", "GitHub docs, token formats"),
    _rule("gitlab_token", "glpat-", r"\bglpat-[A-Za-z0-9_.-]{20,}", "GitLab docs, token prefixes"),
    _rule("slack_token", "xox xapp-", r"\b(?:xox[abeprs]|xapp)-[A-Za-z0-9-]{10,}", "Slack docs, token types"),
    _rule("slack_webhook", "hooks.slack.com", r"hooks\.slack\.com/services/T\w+/B\w+/\w{16,}", "Slack docs, webhooks"),
    _rule("stripe_key", "k_live_ k_test_ whsec_", r"\b(?:[sr]k_(?:live|test)|whsec)_\w{16,}", "Stripe docs, API keys"),
    _rule("google_key", "AIza GOCSPX-", r"\bAIza[\w-]{35}\b|\bGOCSPX-[\w-]{20,}", "Google Cloud docs, API keys"),
    _rule("npm_token", "npm_", r"\bnpm_[A-Za-z0-9]{36}\b", "npm docs, access tokens"),
    _rule("pypi_token", "pypi-", r"\bpypi-[\w-]{40,}", "PyPI help, API tokens"),
    _rule("sendgrid_key", "SG.", r"\bSG\.[\w-]{16,32}\.[\w-]{32,64}", "SendGrid docs, API keys"),
    _rule("twilio_key", "SK", r"\bSK[0-9a-f]{32}\b", "Twilio docs, API keys"),
    _rule("mailgun_key", "key-", r"\bkey-[0-9a-f]{32}\b", "Mailgun docs, API keys"),
    _rule("model_provider_key", "sk-", r"\bsk-(?:ant-|proj-|svcacct-)?[\w-]{32,}", "OpenAI and Anthropic docs"),
    _rule("databricks_token", "dapi", r"\bdapi[0-9a-f]{32}\b", "Databricks docs, personal access tokens"),
    _rule("digitalocean_token", "do", r"\bdo[opr]_v1_[0-9a-f]{64}\b", "DigitalOcean docs, tokens"),
    _rule("shopify_token", "shp", r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b", "Shopify docs, access tokens"),
    _rule("vault_token", "hvs. hvb.", r"\bhv[sb]\.[\w-]{24,}", "HashiCorp Vault docs, tokens"),
    _rule("jwt", "eyJ", r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}", "RFC 7519, RFC 7515"),
    _rule(
        "azure_key",
        "AccountKey= SharedAccessKey= SharedAccessSignature=",
        r"(?:AccountKey|SharedAccessKey|SharedAccessSignature)=[^;\s$<{*]{16,}",
        "Azure docs, connection strings",
    ),
    _rule("url_password", "://", r"://[^\s/:@?#]*:(?![$<{*])[^\s/@]+@", "RFC 3986, userinfo"),
    _rule(
        "connection_password",
        "assword= ASSWORD= pwd= Pwd= PWD=",
        r"(?i)(?:^|[;?&\s])(?:password|pwd)=(?![$<{*])[^;&\s]{4,}",
        "ADO.NET, JDBC and libpq connection strings",
    ),
)
NAME_RULES = ("random_secret", "secret_name")
"""``random_secret``: the name speaks of a secret and the value looks random; ``secret_name``: the name alone."""

HINTS = tuple(hint for rule in VALUE_RULES for hint in rule.hints)
"""One of these is in every value that a rule of values matches; none has a character special to regular expressions
but the dot, which matches itself too."""
_FINDERS = tuple((hint, rule.pattern.search, rule.name) for rule in VALUE_RULES for hint in rule.hints)
_LEAST_CHARACTERS = 8  # "pwd=1234" is the shortest value that a rule can match

RULE_NAMES = tuple(dict.fromkeys((*(rule.name for rule in VALUE_RULES), *NAME_RULES)))

_SECRET_WORDS = frozenset(
    {"password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "apikey", "credential", "credentials"}
)
_BEFORE_KEY = frozenset({"api", "access", "private", "secret", "signing", "encryption", "auth", "shared", "master"})
_MAYBE_WORDS = frozenset({"key", "auth", "salt", "pass", "pw", "cred", "creds", "secrets", "tokens"})
_ABOUT_IT = frozenset(
    (  # noqa: SIM905 - seventy lines of one word each say less
        "name names arn arns id ids url uri endpoint host path dir file filename length len size ttl expiry expires "
        "expiration timeout seconds minutes hours days region type kind enabled disabled rotation prefix suffix "
        "header algorithm alg count limit min max issuer audience version format policy required hint param parameter "
        "location bucket table queue topic field column cookie scope scopes provider method mode alias ref username "
        "user"
    ).split()
)
"""The last word of a name that tells about a secret and is none: SECRET_NAME, TOKEN_URL, PASSWORD_MIN_LENGTH."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_REFERENCE = re.compile(
    r"arn:|\{\{|\$\{|<|(?:ssm|secretsmanager|aws-sm|sm|vault|op|s3|gs|file|https?|kms|ref|env):|alias/|[./~]"
    r"|AQICAH|AQEDAH"  # what KMS encrypted: the ciphertext, not the secret
)
_PATH = re.compile(r"[A-Za-z0-9_.@-]++(?:/[A-Za-z0-9_.@-]++)++")
_NO_SECRET = re.compile(r"\d{0,5}|(?i:true|false|yes|no|on|off|none|null|nil|enabled|disabled|n/a)|(.)\1*", re.DOTALL)
_RANDOM = re.compile(r"[A-Za-z0-9+/=_.~-]{20,}")
_HEX = re.compile(r"[0-9a-f]{32,}|[0-9A-F]{32,}")
_CLASSES = (re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]"))
_LEAST_DISTINCT = 10  # "aaaa...1A" is nobody's key


def secret_rule(name: str, value: str) -> str | None:
    """Return the name of the rule that takes a variable for a secret, None where none does.

    There is none unless the value holds one of ``HINTS`` or the name has a ``suspicion``: both are cheap to see.
    """
    rule = value_rule(value)
    if rule is not None:
        return rule
    told = suspicion(name)
    if told is None:
        return None
    value = value.strip()
    if _is_harmless(value):
        return None
    if _looks_random(value):
        return "random_secret"
    return "secret_name" if told else None


def value_rule(value: str) -> str | None:
    """Return the name of the rule that knows a value by its format, None where none does."""
    if len(value) >= _LEAST_CHARACTERS:
        for hint, find, rule in _FINDERS:
            if hint in value and find(value):
                return rule
    return None


@lru_cache(CACHED_NAMES)
def suspicion(name: str) -> bool | None:
    """Tell what a name says: True that it names a secret, False that it might, None that it does not."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or words[-1] in _ABOUT_IT or "public" in words:
        return None
    if not _SECRET_WORDS.isdisjoint(words):
        return True
    if any(first in _BEFORE_KEY and second == "key" for first, second in itertools.pairwise(words)):
        return True
    return None if _MAYBE_WORDS.isdisjoint(words) else False


def _is_harmless(value: str) -> bool:
    """Tell whether a value is empty, a switch, a small number or the place where the secret is kept."""
    if _NO_SECRET.fullmatch(value) or _REFERENCE.match(value):
        return True
    return _PATH.fullmatch(value) is not None and not _looks_random(value)


def _looks_random(value: str) -> bool:
    if _RANDOM.fullmatch(value) is None or len(set(value)) < _LEAST_DISTINCT:
        return False
    return _HEX.fullmatch(value) is not None or all(kind.search(value) for kind in _CLASSES)
