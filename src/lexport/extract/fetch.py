"""FunctionRef -> Reply: one GetFunction call, and what its failure means."""

from __future__ import annotations

from operator import methodcaller

from lexport.aws.client import LambdaClient
from lexport.aws.quota.retry import CallApi
from lexport.extract.decode import decode_function
from lexport.extract.match_response import check_function, checked
from lexport.model import FunctionRef, Reply, Scope
from lexport.tables.functions import GET_FUNCTION


async def fetch_function(api: LambdaClient, call_api: CallApi, ref: FunctionRef, scope: Scope) -> Reply:
    """Get one function, version or alias; a response about anything else is retried, and is an error at last."""
    attempt = checked(
        api,
        methodcaller("call", GET_FUNCTION, function_name=ref.called_as or ref.function_name, qualifier=ref.qualifier),
        decode_function,
        check_function,
        ref,
        scope,
        function=(scope, ref.function_name, ref.qualifier),
    )
    return await call_api(GET_FUNCTION, attempt)
