"""Decide whether an environment variable is a secret, by its value and its name: (name, value) -> rule or None.

A value is only looked at; nothing of it is stored but the name of the rule. Rules of values match the documented
formats of secret_formats.py. Rules of names judge the words of the name, and use the value to exclude what cannot be a
secret: placeholders, references, switches.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, chain, pairwise

import pyarrow as pa
import pyarrow.compute as pc

from lexport.extract.secret_formats import LEADS, VALUE_RULES, SecondLook, ValueRule

CACHED_NAMES = 4096
LEAST_CHARACTERS = 8  # "pwd=1234" is the shortest value that a rule can match

NAME_RULES = ("random_secret", "secret_name")
"""``random_secret``: the name means a secret and the value looks random; ``secret_name``: the name alone."""

RULE_NAMES = tuple(dict.fromkeys((*(rule.name for rule in VALUE_RULES), *NAME_RULES)))


def secret_rule(name: str, value: str) -> str | None:
    """Return the name of the rule that takes a variable for a secret, None if there is none."""
    return value_rule(value) or name_rule(name, value)


# --- many variables at once -------------------------------------------------------------------------------------------


def with_lead(many: Sequence[Sequence[str]]) -> list[bool]:
    """Return, for each list of values, whether a rule of values may match one of them."""
    values = list(chain.from_iterable(many))
    if not values:
        return [False] * len(many)
    distinct = pa.array(values, pa.string()).dictionary_encode()
    found = pc.match_substring_regex(distinct.dictionary, LEADS).take(distinct.indices)
    before = pc.cumulative_sum(found.cast(pa.int32())).to_pylist()  # how many were found up to each value
    counts = [0, *before]
    ends = list(accumulate(map(len, many), initial=0))
    return [counts[end] > counts[start] for start, end in pairwise(ends)]


def secret_rules(
    names: Sequence[str], values: Sequence[str], distinct_names: pa.DictionaryArray, leads: Iterable[bool | None]
) -> list[str | None]:
    """Return ``secret_rule`` of each variable; the rules judge only variables whose value or name suggests a secret."""
    rules: list[str | None] = [None] * len(names)
    for index, has_lead in enumerate(leads):
        if has_lead:
            rules[index] = value_rule(values[index])
    suggests_secret = [name_means_secret(name) is not None for name in distinct_names.dictionary.to_pylist()]
    is_suspect = pa.array(suggests_secret, pa.bool_()).take(distinct_names.indices)
    for index in pc.indices_nonzero(is_suspect).to_pylist():
        rules[index] = rules[index] or name_rule(names[index], values[index])
    return rules


# --- rules of values -------------------------------------------------------------------------------------------------

_RULE_OF_HINT = tuple((hint, rule) for rule in VALUE_RULES for hint in rule.hints)


def value_rule(value: str) -> str | None:
    """Return the name of the rule whose format a value contains, None if there is none."""
    if len(value) >= LEAST_CHARACTERS:
        for hint, rule in _RULE_OF_HINT:
            if hint in value and any(True for _ in matches_of(rule, value)):
                return rule.name
    return None


def matches_of(rule: ValueRule, text: str) -> Iterator[re.Match[str]]:
    """Yield where a text contains a secret of this format. A placeholder in the same format is none."""
    for match in rule.pattern.finditer(text):
        secret = match[match.lastindex or 0]
        if not is_placeholder(secret) and (rule.second_look is None or _SECOND_LOOKS[rule.second_look](secret)):
            yield match


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def _is_user_and_password(text: str) -> bool:
    """Return whether a text is what HTTP's Basic scheme sends: base64 of a user, a colon and a password."""
    try:
        _, colon, password = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return False
    return bool(colon and password) and password.isascii()


_SECOND_LOOKS: dict[SecondLook, Callable[[str], bool]] = {
    "has_digit": _has_digit,
    "is_user_and_password": _is_user_and_password,
    "is_not_harmless": lambda text: not is_harmless(text),
}

# --- rules of names: words -------------------------------------------------------------------------------------------


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SECRET = _words(
    "password passwords passwd passwort kennwort passphrase passcode pwd pswd psw passwrd pasword senha contrasena "
    "motdepasse secret token apikey accesskey secretkey privatekey signingkey encryptionkey decryptionkey masterkey "
    "sharedkey mnemonic authkey authtoken licensekey hmackey jwtkey webhookkey storagekey credential credentials"
)
"""Words that mean a secret by themselves."""
_BEFORE_KEY = _words(
    "api access private secret signing signature encryption decryption auth shared master license hmac jwt webhook "
    "subscription storage deploy crypto cipher ingest ingestion"
)
"""Words that make a following ``key`` mean a secret."""
_MAYBE_SECRET = _words(
    "key auth salt pepper pass pw cred creds secrets tokens apikeys keys authorization bearer otp seed pat"
)
"""Words that may mean a secret: the value decides."""
_OWNERS = _words(
    "db database pg postgres postgresql mysql mariadb sql mssql oracle rds aurora redshift redis mongo mongodb atlas "
    "elastic elasticsearch es opensearch snowflake smtp mail email imap pop ftp sftp ssh ldap ad user usr login admin "
    "root sudo service svc sa app client server http https basic proxy rabbit rabbitmq mq amqp kafka sasl jdbc odbc "
    "keystore truststore store ssl tls cert certificate auth key p pfx jks vpn wifi host remote account neo memcached "
    "cassandra clickhouse zookeeper activemq solace ibm sap"
)
"""Words that make a following ``pass`` or ``pw`` a password: DB_PASS, but not BOARDING_PASS."""
_QUALIFIERS = _words(
    "prod production dev development stage staging stg test testing uat qa sandbox live local internal external old "
    "new current previous prev next backup default main primary secondary legacy master slave replica readonly read "
    "write plain plaintext raw clear text value val json base b e us eu dr int ro rw v db database pg postgres "
    "postgresql mysql mariadb sql mssql oracle rds aurora redshift redis mongo mongodb elasticsearch opensearch "
    "snowflake smtp ftp sftp ldap admin root github gitlab bitbucket git jira confluence slack stripe twilio sendgrid "
    "mailgun datadog newrelic sentry aws gcp azure google facebook twitter okta npm pypi docker jenkins grafana "
    "splunk salesforce hubspot zendesk shopify paypal openai anthropic discord telegram"
)
"""Words after a secret's that only say which one it is: API_KEY_PROD, PASSWORD_MYSQL."""
_NO_KEY_AFTER = _words(
    "partition sort cache object foreign range index dedup deduplication group row lookup document public publishable "
    "host message idempotency hash range s registry translation feature flag bucket string json field column record "
    "item map config lock state sequence tag metric label event entity correlation"
)
"""Words before ``key`` that make it no secret: PARTITION_KEY, S3_KEY."""
_ATTRIBUTES = _words(
    "name names arn arns id ids url urls uri endpoint host path dir file filename length len size ttl expiry expires "
    "expiration timeout seconds minutes hours days region type kind enabled disabled rotation prefix suffix header "
    "headers algorithm alg count limit min max issuer audience version format policy required hint param parameter "
    "parameters location bucket table queue topic field column cookie scope scopes provider method mode alias ref "
    "reference username user lambda function fn handler class service server manager store storage validator verifier "
    "verification validation generator builder factory job task cron schedule interval period age lifetime duration "
    "leeway skew grace cache rate per request requests usage budget window reset template email subject message regex "
    "pattern charset chars characters digits strength complexity attempts retries symbol contract decimals address "
    "supply price encrypted ciphertext namespace group stage label labels tag tags status state updated created "
    "timestamp date time at rotate rotator loader fetcher client source backend engine config configuration settings "
    "strategy check checker enforcement attribute claim claims exchange introspection refresh_interval bytes bits"
)
"""Words after a secret's that make the value an attribute of it: SECRET_NAME, TOKEN_URL, PASSWORD_LENGTH."""
_FLAGS = _words("use enable disable require has is allow skip no max min num with without show hide mask redact total")
"""First words that make the value a switch or a number."""
_PUBLIC = _words("public publishable anon anonymous")

_SPLIT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_GLUED_SECRETS = tuple(sorted(_SECRET | {"secrets", "tokens", "apikeys"}, key=len, reverse=True))
_GLUED_TAILS = tuple(sorted(_ATTRIBUTES | {word for word in _QUALIFIERS if len(word) > 2}, key=len, reverse=True))  # noqa: PLR2004
_BEFORE_GLUED_KEY = _BEFORE_KEY | _words(
    "app admin session service write read project stripe account azure aws google rsa ssh pgp gpg"
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_KEY_OF_KMS = re.compile("kms|cmk|encryption|decryption", re.IGNORECASE)
_USER_AND_PASSWORD = re.compile(r"[^\s:/]+:(?!\d+$)[^\s:/]{4,}")
_OF_AUTH = re.compile("auth|cred", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\W_]+")


# --- rules of names: judgement ---------------------------------------------------------------------------------------


def name_rule(name: str, value: str) -> str | None:
    """Return the name of the rule that takes a variable for a secret by its name, None if there is none."""
    means_secret = name_means_secret(name)
    if means_secret is None:
        return None
    value = value.strip()
    if is_harmless(value) or _is_its_own_name(name, value):
        return None
    if _UUID.fullmatch(value) and _KEY_OF_KMS.search(name):
        return None
    if any(map(looks_random, value.removeprefix("base64:").split(","))):
        return "random_secret"
    is_pair = _OF_AUTH.search(name) is not None and _USER_AND_PASSWORD.fullmatch(value) is not None
    return "secret_name" if means_secret or is_pair else None


@lru_cache(CACHED_NAMES)
def name_means_secret(name: str) -> bool | None:
    """Return True if a name means a secret, False if it may mean one, None if it does not."""
    words = [part for word in _SPLIT.findall(name) for part in _parts(word.lower())]
    words = _with_keys_joined(words)
    if not words or words[0] in _FLAGS or not _PUBLIC.isdisjoint(words):
        return None
    meaning = None
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        if word in _SECRET or (word in {"pass", "pw"} and before in _OWNERS):
            meaning = _weigh(words[index + 1 :])
        elif word in _MAYBE_SECRET and not (word in {"key", "keys"} and before in _NO_KEY_AFTER):
            meaning = None if _weigh(words[index + 1 :]) is None else False
    return meaning


def _weigh(after: list[str]) -> bool | None:
    """Return what the words after a secret's leave of it: None after an attribute, False after an unknown word."""
    if not _ATTRIBUTES.isdisjoint(after):
        return None
    return _QUALIFIERS.issuperset(after)


def _with_keys_joined(words: list[str]) -> list[str]:
    joined: list[str] = []
    for word in words:
        if joined and word in {"key", "keys"} and joined[-1] in _BEFORE_KEY:
            joined[-1] = "apikey" if word == "key" else "apikeys"
        else:
            joined.append(word)
    return joined


def _parts(word: str) -> list[str]:
    """Split a word that was written without separators: ``clientsecret``, ``dbpass``, ``tokenurl``."""
    if word in _SECRET or word in _MAYBE_SECRET or word in _ATTRIBUTES:
        return [word]
    for secret in _GLUED_SECRETS:
        if word.endswith(secret):
            return [word.removesuffix(secret), secret]
    for tail in ("pass", "pw"):
        if word.endswith(tail) and word.removesuffix(tail) in _OWNERS:
            return [word.removesuffix(tail), tail]
    if word.endswith("key") and word.removesuffix("key") in _BEFORE_GLUED_KEY:
        return [word.removesuffix("key"), "key"]
    for tail in _GLUED_TAILS:
        rest = word.removesuffix(tail)
        if rest != word and rest.endswith(_GLUED_SECRETS):
            return [*_parts(rest), tail]
    return [word]


def _is_its_own_name(name: str, value: str) -> bool:
    if len(value) > 2 * len(name):
        return False
    return _SEPARATORS.sub("", value).lower() == _SEPARATORS.sub("", name).lower()


# --- placeholders ----------------------------------------------------------------------------------------------------

_FILLED_IN_LATER = re.compile(
    r"\$\{.*|\$\(.*|\$[A-Za-z_]\w*|%[A-Za-z_]\w*%|%s|%\(.*|#\{.*|\{\{.*|<.*|\[.*\]|\{[\w.-]*\}|__\w+__|@\w+@|!\w+ .*",
    re.DOTALL,
)
_PLACEHOLDER_HINTS = (
    *("example", "placeholder", "change", "replace", "redacted", "your", "dummy", "fake", "mock", "sample", "todo"),
    *("tbd", "fixme", "insert", "defined", "set", "managed", "stored", "injected", "xxxx", "***", "..."),
)
"""Every text that ``_EXAMPLE`` matches contains one of these, which are cheap to search for."""
_EXAMPLE = re.compile(
    r"example|placeholder|change.?(?:me|it|this)|replace.?(?:me|this|with)|redacted|your[_ -]"
    r"|to.?be.?(?:set|replaced|defined)|(?<![a-z])(?:dummy|fake|mock|sample|todo|tbd|fixme|insert|undefined|unset)(?![a-z])"
    r"|(?<![a-z])(?:set|managed|stored|injected)[_ -](?:by|in|from|at|via)(?![a-z])|x{4}|\*{3}|\.{3}"
)
_LEAST_REPETITIVE = 16
_MOST_DISTINCT_OF_PLACEHOLDER = 6  # distinct characters of a long text such as ghp_0000...
_LONGEST_WORD = 32
_STAND_IN = re.compile(
    r"(?:my|your|the|some|a)?[_ -]?(?:password|passwd|passphrase|pass|secret|token|api[_ -]?key|access[_ -]?key|key"
    r"|credentials?|value|string)(?:[_ -]?here)?|foo|bar|baz|foobar|test|testing|default|empty|hidden|masked|secure"
    r"|encrypted|replaced?|unused|x{3}|not[_ -]?(?:set|used|needed|required|applicable|available)|n/?a|-+",
    re.IGNORECASE,
)


def is_placeholder(text: str) -> bool:
    """Return whether a text only marks the place of a secret, or is an example of one."""
    if _FILLED_IN_LATER.fullmatch(text) or (len(text) <= _LONGEST_WORD and _STAND_IN.fullmatch(text)):
        return True
    if len(text) >= _LEAST_REPETITIVE and len(set(text)) <= _MOST_DISTINCT_OF_PLACEHOLDER:
        return True
    lower = text.lower()
    for word in _PLACEHOLDER_HINTS:  # any() with a generator would take twice as long
        if word in lower:
            return _EXAMPLE.search(lower) is not None
    return False


# --- values that are no secret ---------------------------------------------------------------------------------------

_REFERENCE = re.compile(
    r"arn:|(?:ssm|secretsmanager|aws-sm|sm|asm|vault|keyvault|op|s3|gs|file|https?|kms|ref|env|secret|resolve"
    r"|dynamodb|projects/[\w-]+/secrets):|projects/[\w-]+/secrets/|alias/|mrk-[0-9a-f]{32}\b|(?:\.{0,2}|~)/|@Microsoft\.KeyVault\("
    r"|AQICAH|AQECAH|AQEDAH|ENC\[|\{cipher\}|vault:v\d+:|U2FsdGVkX1"  # encrypted, so not the secret itself
)
_PATH = re.compile(r"[A-Za-z0-9_.@-]++(?:/[A-Za-z0-9_.@-]++)++")
_FILE = re.compile(r"[\w.-]+\.(?:json|ya?ml|pem|key|crt|cer|der|p12|pfx|jks|txt|env|toml|ini|conf|cfg|xml|properties)")
_LAST_WORDS = tuple(
    "password passwords secret secrets token tokens credential credentials key keys apikey apikeys".split()  # noqa: SIM905
)
_NAME_OF_SECRET = re.compile(r"(?:[a-z0-9]+[-_.]){2,}[a-z]+")
"""The name of a secret, such as prod-db-password: three words, the last of which means a secret."""
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
_LEAST_DISTINCT = 10  # "aaaa...1A" is no key


def is_harmless(value: str) -> bool:
    """Return whether a value is empty, a switch, a number, a placeholder, or a reference to a secret."""
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
    """Return whether a value looks generated: long, and mixed of letters and digits."""
    if len(value) < _LEAST_RANDOM or _RANDOM.fullmatch(value) is None:
        return False
    is_mixed = value.lower() != value != value.upper() and _DIGIT.search(value) is not None
    return (is_mixed or _HEX.fullmatch(value) is not None) and len(set(value)) >= _LEAST_DISTINCT
