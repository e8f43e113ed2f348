"""FunctionRef -> Reply: one GetFunction call, and what its failure means."""

from __future__ import annotations

from lexport.extract.decode import decode_function
from lexport.extract.match_response import check_function, checked
from lexport.model import FunctionRef, Priority, Reply, Scope
from lexport.tables.api import Ask, LambdaApi


async def fetch_function(api: LambdaApi, ask: Ask, ref: FunctionRef, scope: Scope) -> Reply:
    """Get one function, version or alias; a response about anything else is retried, and is an error at last."""
    attempt = checked(
        api,
        lambda asked: asked.get_function(ref.called_as or ref.function_name, ref.qualifier),
        decode_function,
        check_function,
        ref,
        scope,
        function=(scope, ref.function_name, ref.qualifier),
    )
    return await ask("GetFunction", attempt, Priority.SNAPSHOT)
