"""A text that stands where a secret could stand -> whether it is none: a placeholder, a reference, a switch."""

from __future__ import annotations

import re

# --- what shows where a secret will be --------------------------------------------------------------------------------

_FILLED_IN_LATER = re.compile(
    r"\$\{.*|\$\(.*|\$[A-Za-z_]\w*|%[A-Za-z_]\w*%|%s|%\(.*|#\{.*|\{\{.*|<.*|\[.*\]|\{[\w.-]*\}|__\w+__|@\w+@|!\w+ .*",
    re.DOTALL,
)
_TELLING = (
    *("example", "placeholder", "change", "replace", "redacted", "your", "dummy", "fake", "mock", "sample", "todo"),
    *("tbd", "fixme", "insert", "defined", "set", "managed", "stored", "injected", "xxxx", "***", "..."),
)
"""One of these is in every text that ``_EXAMPLE`` finds something in; looking for them is cheap."""
_EXAMPLE = re.compile(
    r"example|placeholder|change.?(?:me|it|this)|replace.?(?:me|this|with)|redacted|your[_ -]"
    r"|to.?be.?(?:set|replaced|defined)|(?<![a-z])(?:dummy|fake|mock|sample|todo|tbd|fixme|insert|undefined|unset)(?![a-z])"
    r"|(?<![a-z])(?:set|managed|stored|injected)[_ -](?:by|in|from|at|via)(?![a-z])|x{4}|\*{3}|\.{3}"
)
_LEAST_OF_MANY = 16
_MOST_DISTINCT = 6  # ghp_0000...: so many characters, so few of them different
_LONGEST_WORD = 32
_NO_WORD = re.compile(
    r"(?:my|your|the|some|a)?[_ -]?(?:password|passwd|passphrase|pass|secret|token|api[_ -]?key|access[_ -]?key|key"
    r"|credentials?|value|string)(?:[_ -]?here)?|foo|bar|baz|foobar|test|testing|default|empty|hidden|masked|secure"
    r"|encrypted|replaced?|unused|x{3}|not[_ -]?(?:set|used|needed|required|applicable|available)|n/?a|-+",
    re.IGNORECASE,
)


def is_placeholder(text: str) -> bool:
    """Tell whether a text only shows where a secret will be, or how one looks."""
    if _FILLED_IN_LATER.fullmatch(text) or (len(text) <= _LONGEST_WORD and _NO_WORD.fullmatch(text)):
        return True
    if len(text) >= _LEAST_OF_MANY and len(set(text)) <= _MOST_DISTINCT:
        return True
    lower = text.lower()
    for word in _TELLING:  # a generator would take twice as long
        if word in lower:
            return _EXAMPLE.search(lower) is not None
    return False


# --- what is no secret at all -----------------------------------------------------------------------------------------

_REFERENCE = re.compile(
    r"arn:|(?:ssm|secretsmanager|aws-sm|sm|asm|vault|keyvault|op|s3|gs|file|https?|kms|ref|env|secret|resolve"
    r"|dynamodb|projects/[\w-]+/secrets):|projects/[\w-]+/secrets/|alias/|mrk-[0-9a-f]{32}\b|(?:\.{0,2}|~)/|@Microsoft\.KeyVault\("
    r"|AQICAH|AQECAH|AQEDAH|ENC\[|\{cipher\}|vault:v\d+:|U2FsdGVkX1"  # encrypted: not the secret itself
)
_PATH = re.compile(r"[A-Za-z0-9_.@-]++(?:/[A-Za-z0-9_.@-]++)++")
_FILE = re.compile(r"[\w.-]+\.(?:json|ya?ml|pem|key|crt|cer|der|p12|pfx|jks|txt|env|toml|ini|conf|cfg|xml|properties)")
_LAST_WORDS = tuple(
    "password passwords secret secrets token tokens credential credentials key keys apikey apikeys".split()  # noqa: SIM905
)
_NAME_OF_SECRET = re.compile(r"(?:[a-z0-9]+[-_.]){2,}[a-z]+")
"""prod-db-password: three words, of which the last says what it is the name of."""
_SWITCH = re.compile(
    r"\d{0,5}(?:ms|s|m|h|d|w| ?(?:seconds?|minutes?|hours?|days?))?|true|false|yes|no|on|off|none|null|nil"
    r"|enabled|disabled|required|optional|always|never|auto|bearer|basic|jwt|oauth2?|oidc|saml|iam|aws_iam|ssm|secrets?-?manager|vault|env"
    r"|",
    re.IGNORECASE,
)
_LONGEST_SWITCH = 16
_LEAST_RANDOM = 20
_RANDOM = re.compile(r"[A-Za-z0-9+/=_.~-]+")
_HEX = re.compile(r"[0-9a-f]{32,}|[0-9A-F]{32,}")
_DIGIT = re.compile("[0-9]")
_LEAST_DISTINCT = 10  # "aaaa...1A" is nobody's key


def is_harmless(value: str) -> bool:
    """Tell whether a value is empty, a switch, a number, a placeholder, or the place where the secret is kept."""
    if len(value) <= _LONGEST_SWITCH and (_SWITCH.fullmatch(value) or len(set(value)) <= 1):
        return True
    if _REFERENCE.match(value) or is_placeholder(value):
        return True
    lower = value.lower()
    if lower.endswith(_LAST_WORDS) and _NAME_OF_SECRET.fullmatch(lower):
        return True
    if "." in value and _FILE.fullmatch(value):
        return True
    return "/" in value and _PATH.fullmatch(value) is not None and not looks_random(value)


def looks_random(value: str) -> bool:
    """Tell whether a value is so mixed that nobody thought it up."""
    if len(value) < _LEAST_RANDOM or _RANDOM.fullmatch(value) is None:
        return False
    is_mixed = value.lower() != value != value.upper() and _DIGIT.search(value) is not None
    return (is_mixed or _HEX.fullmatch(value) is not None) and len(set(value)) >= _LEAST_DISTINCT
