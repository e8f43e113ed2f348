"""Parts of responses, and of the rows that they become."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

SEED = json.loads((Path(__file__).with_name("seed_get_function.json")).read_bytes())
ARN = "arn:aws:lambda:us-west-2:123456789012:function:my-function"
KEY = b"0123456789abcdef"
KEY_ID = hmac.new(KEY, b"lexport hash key id", hashlib.sha256).hexdigest()[:16]
LINK = "https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIA%2Fs3&X-Amz-Security-Token=t0k3n&X-Amz-Signature=5161"


CUT = "[query removed]"
USER = "[user removed]@"


def digest(value):
    return hmac.new(KEY, value.encode(), hashlib.sha256).hexdigest()[:32]


def configured(**fields):
    """A response with a name, a version and these fields of ``Configuration``."""
    return {"Configuration": {"FunctionName": "my-function", "Version": "1", **fields}}


def function_row(**cells):
    return {"function_name": "my-function", "version": "1", "carried_forward": False, **cells}


def extra(rows):
    return json.loads(rows["functions"][0]["extra_json"])


UNKNOWN = {
    "Secrets": ["s3cret"],
    "New": {"clientSecret": "s3cret", "SecretArn": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:x", "n": 1},
    "Texts": ["https://u:s3cret@x/p", "see https://x/p?sig=s3cret-of-a-signed-link", '{"password": "s3cret"}', "plain"],
    "k https://x/?s3cret": 1,
}
KEPT = {
    "Secrets": {"type": "array", "length": 1},
    "New": {
        "clientSecret": {"type": "string", "length": 6},
        "SecretArn": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:x",
        "n": 1,
    },
    "Texts": [f"https://{USER}x/p", f"see https://x/p{CUT}", {"type": "string", "length": 22}, "plain"],
    f'["k https://x/{CUT}"]': 1,
}
