"""FunctionRef -> Reply: one GetFunction call, and what its failure means."""

from __future__ import annotations

from functools import partial

from lexport.aws.api import Ask, LambdaApi
from lexport.errors import FunctionGoneError
from lexport.model import FunctionRef, Priority, Reply


async def fetch_function(api: LambdaApi, ask: Ask, ref: FunctionRef) -> Reply:
    """Get one function, version or alias.

    A listed function that is gone since is no gap: it is not in the fleet. One that the user named is.
    """
    attempt = partial(api.get_function, ref.called_as or ref.function_name, ref.qualifier)
    try:
        return await ask("GetFunction", attempt, Priority.SNAPSHOT)
    except FunctionGoneError as error:
        if not ref.is_named:
            error.code, error.is_gap = "gone", False
        raise
