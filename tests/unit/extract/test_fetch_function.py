"""One call for one reference, and what its failure means."""

from __future__ import annotations

import pytest

from lexport.errors import AccessDeniedError
from lexport.extract.match_response import fetch_function
from lexport.model import FunctionRef, Priority, Scope
from lexport.tables.functions import GET_FUNCTION

pytestmark = pytest.mark.asyncio


SCOPE = Scope(account_id="123456789012", region="us-west-2")


def answer(name, qualifier):
    """A sound answer; an alias leads to version 3."""
    version = qualifier if qualifier is None or qualifier.isdecimal() else "3"
    arn = f"arn:aws:lambda:us-west-2:123456789012:function:f{':' + qualifier if qualifier else ''}"
    return {"Configuration": {"FunctionName": "f", "FunctionArn": arn, "Version": version or "$LATEST"}}


async def ask(call, attempt):
    assert (call, call.priority) == (GET_FUNCTION, Priority.SNAPSHOT)
    return await attempt()


@pytest.mark.parametrize(
    ("ref", "call"),
    [
        (FunctionRef(function_name="f"), ("f", None)),
        (FunctionRef(function_name="f", qualifier="7"), ("f", "7")),
        (FunctionRef(function_name="f", qualifier="live", called_as="arn:x"), ("arn:x", "live")),
    ],
)
async def test_what_is_called(fake_api, ref, call):
    """``$LATEST`` is called by bare name, a version by number, another account's function as it was written."""
    api = fake_api(answer=answer)
    reply = await fetch_function(api, ask, ref, SCOPE)

    assert api.calls == [call]
    assert reply.document == answer(*call)


async def test_denied_is_an_error(fake_api):
    """A denial is raised: it is never an empty response."""

    def denied(*_):
        raise AccessDeniedError("no", code="AccessDeniedException", http_status=403)

    with pytest.raises(AccessDeniedError):
        await fetch_function(fake_api(answer=denied), ask, FunctionRef(function_name="f"), SCOPE)
