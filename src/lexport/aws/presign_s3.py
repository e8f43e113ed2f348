"""An object of S3 -> a link to it, made with the caller's own credentials: how a package in a customer's bucket is had.

By aiobotocore, which knows endpoints, partitions and addressing styles; it is rare, so a client for each is no matter.
"""

from __future__ import annotations

import re
from typing import Any

from botocore import exceptions as boto

from lexport.aws.session import Session
from lexport.aws.signing import Credentials
from lexport.errors import ItemError

LINK_LIFE_S = 600  # as long as Lambda's own
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d")


async def presign(
    session: Session, credentials: Credentials, *, region: str, bucket: str, key: str, version: str | None
) -> str:
    """Make a link to one object, in the Region that its bucket is in. The link is a secret, as any."""
    where = await _region_of(session, credentials, region, bucket)
    what = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
    return await session.presign("s3", where, "get_object", what, credentials=credentials, life_s=LINK_LIFE_S)


async def _region_of(session: Session, credentials: Credentials, region: str, bucket: str) -> str:
    """Ask S3 where a bucket is: each answer says so, a refusal too. Else it is taken to be where the function is."""
    try:
        answer: Any = await session.ask_for_headers("s3", region, "head_bucket", credentials=credentials, Bucket=bucket)
    except boto.ClientError as error:
        answer = error.response
    except ItemError:
        return region
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    found = str(headers.get("x-amz-bucket-region", ""))
    return found if _REGION.fullmatch(found) else region
