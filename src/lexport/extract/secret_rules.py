"""(name, value) of an environment variable -> the name of the rule that takes it for a secret, or None.

The value is looked at while it is read and never stored: only the rule's name is. Rules of values know the format of a
provider's token (secret_formats.py); rules of names look at the words of the name, and at the value only to see that it
is a secret at all (placeholders.py).
"""

from __future__ import annotations

import re
from functools import lru_cache

from lexport.extract.placeholders import is_harmless, looks_random
from lexport.extract.secret_formats import VALUE_RULES, value_rule

CACHED_NAMES = 4096

NAME_RULES = ("random_secret", "secret_name")
"""``random_secret``: the name speaks of a secret and the value looks random; ``secret_name``: the name alone."""

RULE_NAMES = tuple(dict.fromkeys((*(rule.name for rule in VALUE_RULES), *NAME_RULES)))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SECRET = _words(
    "password passwords passwd passwort kennwort passphrase passcode pwd pswd psw passwrd pasword senha contrasena "
    "motdepasse secret token apikey accesskey secretkey privatekey signingkey encryptionkey decryptionkey masterkey "
    "sharedkey mnemonic authkey authtoken licensekey hmackey jwtkey webhookkey storagekey credential credentials"
)
"""Words that name a secret by themselves."""
_BEFORE_KEY = _words(
    "api access private secret signing signature encryption decryption auth shared master license hmac jwt webhook "
    "subscription storage deploy crypto cipher ingest ingestion"
)
"""Words that make ``key`` one of those."""
_MAYBE = _words("key auth salt pepper pass pw cred creds secrets tokens apikeys keys authorization bearer otp seed pat")
"""Words that may name a secret: the value decides."""
_OF_WHOM = _words(
    "db database pg postgres postgresql mysql mariadb sql mssql oracle rds aurora redshift redis mongo mongodb atlas "
    "elastic elasticsearch es opensearch snowflake smtp mail email imap pop ftp sftp ssh ldap ad user usr login admin "
    "root sudo service svc sa app client server http https basic proxy rabbit rabbitmq mq amqp kafka sasl jdbc odbc "
    "keystore truststore store ssl tls cert certificate auth key p pfx jks vpn wifi host remote account neo memcached "
    "cassandra clickhouse zookeeper activemq solace ibm sap"
)
"""Words that make ``pass`` and ``pw`` a password: DB_PASS, and not BOARDING_PASS or COMPASS."""
_WHICH_ONE = _words(
    "prod production dev development stage staging stg test testing uat qa sandbox live local internal external old "
    "new current previous prev next backup default main primary secondary legacy master slave replica readonly read "
    "write plain plaintext raw clear text value val json base b e us eu dr int ro rw v db database pg postgres "
    "postgresql mysql mariadb sql mssql oracle rds aurora redshift redis mongo mongodb elasticsearch opensearch "
    "snowflake smtp ftp sftp ldap admin root github gitlab bitbucket git jira confluence slack stripe twilio sendgrid "
    "mailgun datadog newrelic sentry aws gcp azure google facebook twitter okta npm pypi docker jenkins grafana "
    "splunk salesforce hubspot zendesk shopify paypal openai anthropic discord telegram"
)
"""Words behind a secret's that only say which one it is: API_KEY_PROD, PASSWORD_MYSQL."""
_NO_KEY_AFTER = _words(
    "partition sort cache object foreign range index dedup deduplication group row lookup document public publishable "
    "host message idempotency hash range s registry translation feature flag bucket string json field column record "
    "item map config lock state sequence tag metric label event entity correlation"
)
"""Words that make ``key`` one that opens nothing: PARTITION_KEY, S3_KEY."""
_ABOUT_IT = _words(
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
"""Words behind a secret's that tell about it: SECRET_NAME, TOKEN_URL, PASSWORD_ROTATION_LAMBDA."""
_FLAGS = _words("use enable disable require has is allow skip no max min num with without show hide mask redact total")
"""Words that make the whole name a switch or a number."""
_OPEN = _words("public publishable anon anonymous")

_SPLIT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_GLUED_SECRETS = tuple(sorted(_SECRET | {"secrets", "tokens", "apikeys"}, key=len, reverse=True))
_GLUED_TAILS = tuple(sorted(_ABOUT_IT | {word for word in _WHICH_ONE if len(word) > 2}, key=len, reverse=True))  # noqa: PLR2004
_BEFORE_GLUED_KEY = _BEFORE_KEY | _words(
    "app admin session service write read project stripe account azure aws google rsa ssh pgp gpg"
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_KEY_OF_KMS = re.compile("kms|cmk|encryption|decryption", re.IGNORECASE)
_USER_AND_PASSWORD = re.compile(r"[^\s:/]+:(?!\d+$)[^\s:/]{4,}")
_OF_AUTH = re.compile("auth|cred", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\W_]+")


def secret_rule(name: str, value: str) -> str | None:
    """Return the name of the rule that takes a variable for a secret, None where none does.

    There is none unless the value holds one of ``HINTS`` or the name has a ``suspicion``: both are cheap to see.
    """
    return value_rule(value) or name_rule(name, value)


def name_rule(name: str, value: str) -> str | None:
    """Return the name of the rule that takes a variable for a secret by what it is called, None where none does."""
    told = suspicion(name)
    if told is None:
        return None
    value = value.strip()
    if is_harmless(value) or _is_its_own_name(name, value):
        return None
    if _UUID.fullmatch(value) and _KEY_OF_KMS.search(name):
        return None
    if any(map(looks_random, value.removeprefix("base64:").split(","))):
        return "random_secret"
    is_pair = _OF_AUTH.search(name) is not None and _USER_AND_PASSWORD.fullmatch(value) is not None
    return "secret_name" if told or is_pair else None


@lru_cache(CACHED_NAMES)
def suspicion(name: str) -> bool | None:
    """Tell what a name says: True that it names a secret, False that it might, None that it does not."""
    words = [part for word in _SPLIT.findall(name) for part in _parts(word.lower())]
    words = _with_keys_joined(words)
    if not words or words[0] in _FLAGS or not _OPEN.isdisjoint(words):
        return None
    found = None
    for place, word in enumerate(words):
        if word in _SECRET or (word in {"pass", "pw"} and place and words[place - 1] in _OF_WHOM):
            found = _judge(words[place + 1 :])
        elif word in _MAYBE and not (place and word in {"key", "keys"} and words[place - 1] in _NO_KEY_AFTER):
            found = None if _judge(words[place + 1 :]) is None else False
    return found


def _judge(after: list[str]) -> bool | None:
    """Judge a secret's word by those behind it: one that tells about it takes it back, an unknown one makes it weak."""
    if not _ABOUT_IT.isdisjoint(after):
        return None
    return _WHICH_ONE.issuperset(after)


def _with_keys_joined(words: list[str]) -> list[str]:
    """Make one word of API KEY and its like."""
    joined: list[str] = []
    for word in words:
        if joined and word in {"key", "keys"} and joined[-1] in _BEFORE_KEY:
            joined[-1] = "apikey" if word == "key" else "apikeys"
        else:
            joined.append(word)
    return joined


def _parts(word: str) -> list[str]:
    """Part a word that was written without separators: ``clientsecret``, ``dbpass``, ``tokenurl``."""
    if word in _SECRET or word in _MAYBE or word in _ABOUT_IT:
        return [word]
    for secret in _GLUED_SECRETS:
        if word.endswith(secret):
            return [word.removesuffix(secret), secret]
    for tail in ("pass", "pw"):
        if word.endswith(tail) and word.removesuffix(tail) in _OF_WHOM:
            return [word.removesuffix(tail), tail]
    if word.endswith("key") and word.removesuffix("key") in _BEFORE_GLUED_KEY:
        return [word.removesuffix("key"), "key"]
    for tail in _GLUED_TAILS:
        rest = word.removesuffix(tail)
        if rest != word and rest.endswith(_GLUED_SECRETS):
            return [*_parts(rest), tail]
    return [word]


def _is_its_own_name(name: str, value: str) -> bool:
    """Tell whether a value only says the name again, as templates do."""
    if len(value) > 2 * len(name):
        return False
    return _SEPARATORS.sub("", value).lower() == _SEPARATORS.sub("", name).lower()
