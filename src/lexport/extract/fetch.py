"""FunctionRef -> Reply: one GetFunction call, and what its failure means."""

from __future__ import annotations

from lexport.errors import FunctionGoneError
from lexport.extract.match_response import check_function, checked
from lexport.model import FunctionRef, Priority, Reply, Scope
from lexport.tables.api import Ask, LambdaApi


async def fetch_function(api: LambdaApi, ask: Ask, ref: FunctionRef, scope: Scope) -> Reply:
    """Get one function, version or alias; an answer about anything else is asked for again, and is an error at last.

    A listed function that is gone since is no gap: it is not in the fleet. One that the user named is.
    """
    attempt = checked(
        api,
        lambda asked: asked.get_function(ref.called_as or ref.function_name, ref.qualifier),
        check_function,
        ref,
        scope,
        function=(scope, ref.function_name, ref.qualifier),
    )
    try:
        return await ask("GetFunction", attempt, Priority.SNAPSHOT)
    except FunctionGoneError as error:
        if not ref.is_named:
            error.code, error.is_gap = "gone", False
        raise
