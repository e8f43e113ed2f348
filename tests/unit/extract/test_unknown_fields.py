"""What may be stored of a field that nobody knows, judged by its key and by its form."""

import pytest

from lexport.extract.unknown_fields import Guard, guard, guard_at, has_form_of_secret, outline

SECRET = [
    "Secret",
    "Secrets",
    "secret",
    "client_secret",
    "ClientSecret",
    "CLIENTSECRET",
    "SecretsConfig",
    "Credential",
    "credentials",
    "Password",
    "MasterUserPassword",
    "Passwd",
    "Passphrase",
    "Token",
    "AuthToken",
    "sessionTokens",
    "Authorization",
    "Auth",
    "AuthConfig",
    "ApiKey",
    "APIKeys",
    "api-key",
    "AccessKey",
    "PrivateKey",
    "EncryptionKey",
    "SharedKey",
    "DataKey",
    "KeyMaterial",
    "Plaintext",
    "ConnectionString",
    "Cookie",
    "SignatureV4",
    "PresignedUrl",
    "UserData",
    "Jwt",
    "SSHKey",
    "Bearer",
    "Mnemonic",
    "Kubeconfig",
    "Dsn",
    "Code",
    "code",
    "CodeV2",
    "SourceCode",
    "CodeLocation",
]
ENVIRONMENT = ["Environment", "EnvironmentV2", "environment", "EnvironmentVariables", "Variables", "env", "Env", "VARS"]
OPEN = [
    "Future",
    "Key",
    "S3Key",
    "KMSKey",
    "MetadataKey",
    "PartitionKey",
    "Monkeys",
    "Author",
    "Compass",
    "ErrorCode",
    "StatusCode",
    "StateReasonCode",
    "CodeSha256",
    "CodeSize",
    "CodeSigningConfig",
    "Encoded",
    "Decoder",
    "Envelope",
    "Invariant",
    "",
    "0",
    "ключ",
]
ABOUT = [
    "SecretArn",
    "SecretName",
    "TokenTtl",
    "PasswordLength",
    "AuthType",
    "CodeVersion",
    "EnvironmentId",
    "MaxExecutionEnvironments",
]
ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-AbCdEf"


@pytest.mark.parametrize("item", ["x", 5, True, ["x"], {"a": "x"}])
@pytest.mark.parametrize(("keys", "found"), [(SECRET, Guard.SECRET), (ENVIRONMENT, Guard.VALUES), (OPEN, Guard.OPEN)])
def test_keys(keys, found, item):
    """A key that speaks of secrets, code or an environment guards whatever is below it; others nothing."""
    assert [key for key in keys if guard(key, item) is not found] == []


@pytest.mark.parametrize("key", ABOUT)
def test_what_is_about_a_secret(key):
    """A scalar under a key that only tells about a secret is kept, an object is not."""
    assert guard(key, "x") is guard(key, 5) is Guard.OPEN
    assert guard(key, {"a": "x"}) is not Guard.OPEN
    assert guard(key, ["x"]) is not Guard.OPEN


def test_arns():
    """An ARN tells where a secret is; what only begins like one, or holds one, does not."""
    assert guard("Secret", ARN) is Guard.OPEN
    for item in (f"{ARN} x", f"x {ARN}", "arn:x", [ARN], f"{ARN}?x=1", f"{ARN}\n"):
        assert guard("Secret", item) is Guard.SECRET


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("Configuration.New", Guard.OPEN),
        ("Configuration.Secrets.New", Guard.SECRET),
        ("Configuration.Secrets[0].New", Guard.SECRET),
        ("Configuration.SecretArn.New", Guard.SECRET),
        ("Configuration.New.SecretArn", Guard.OPEN),
        ("Configuration.Environment.Secrets", Guard.VALUES),
        ("Secrets.Environment", Guard.SECRET),
        ('Configuration.["a.secret"].New', Guard.SECRET),
        ('Configuration.["a \\"secret"]', Guard.SECRET),
        ('["a b"].New', Guard.OPEN),
        ('Configuration.["my secret.arn"]', Guard.OPEN),
        ("", Guard.OPEN),
    ],
)
def test_paths(path, found):
    """The first key of a path that has a guard decides, quoted or not."""
    assert guard_at(path, "x") is found


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("gh" + "p_" + "a1B2c3D4e5F6" * 3, True),
        ("postgres://app:" + "pw@db/x", True),
        (' {"password": "x"}', True),
        ('[{"a": {"ApiKey": "x"}}]', True),
        ('{"SecretArn": "x", "a": [1]}', False),
        ('{"password"', False),
        ("[" * 5000, False),
        ("password", False),
        ('{"Environment": {"A": "x"}}', True),
    ],
)
def test_texts(text, is_found):
    """A token, or JSON with a key that speaks of a secret, is one under any key."""
    assert has_form_of_secret(text) is is_found


def test_an_outline_stays_what_it_is():
    """What was outlined once, and is carried into another night, is the same there; nothing else passes for one."""
    for item in ("пароль", ["a"], {"a": 1, "b": 2}, 12345, True, None, 1.5):
        assert outline(outline(item)) == outline(item)
    assert outline("пароль") == {"type": "string", "length": 6}
    assert outline({"type": "s3cret", "length": 6}) == {"type": "object", "length": 2}
    assert outline({"type": "string", "length": "s3cret"}) == {"type": "string", "length": 0}
    assert outline({"type": ["s3cret"], "length": 1}) == {"type": "object", "length": 2}
