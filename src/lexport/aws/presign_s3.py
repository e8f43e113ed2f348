"""Presigned URLs of S3 objects, for deployment packages that are stored in a customer's own bucket.

They are made by aiobotocore, which resolves endpoints, partitions and addressing styles. They are rare, so each one may
cost a client of its own.
"""

from __future__ import annotations

import re
from typing import Any

from aiobotocore.config import AioConfig
from botocore import exceptions as boto

from lexport.aws.botocore_errors import BOTOCORE_ERRORS, translate_errors
from lexport.aws.session import Session
from lexport.aws.signing import Credentials

URL_LIFE_S = 600  # as long as the presigned URLs of Lambda
_SIGNING = AioConfig(signature_version="s3v4")  # some Regions default to the old signature, others never accepted it
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d")


async def presign_object(
    session: Session, credentials: Credentials, *, region: str, bucket: str, key: str, version: str | None
) -> str:
    """Return a presigned URL of one object, in the Region of its bucket. The URL is a secret."""
    bucket_region = await _region_of(session, credentials, region, bucket)
    params = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})

    async def sign() -> str:
        async with session.client("s3", bucket_region, credentials, _SIGNING) as client:
            return str(await client.generate_presigned_url("get_object", Params=params, ExpiresIn=URL_LIFE_S))

    return await translate_errors(sign, doing=f"cannot presign a URL of S3 in {bucket_region}", profile=session.profile)


async def _region_of(session: Session, credentials: Credentials, region: str, bucket: str) -> str:
    """Return the Region of a bucket. Every response of S3 names it, refusals too; the default is ``region``."""
    response: Any
    async with session.client("s3", region, credentials) as client:
        try:
            response = await client.head_bucket(Bucket=bucket)
        except boto.ClientError as error:
            response = error.response
        except BOTOCORE_ERRORS:
            return region
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    named = str(headers.get("x-amz-bucket-region", ""))
    return named if _REGION.fullmatch(named) else region
