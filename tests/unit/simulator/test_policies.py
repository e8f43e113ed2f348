"""The policies of the simulated fleet show every row of the truth table of exposure."""

from __future__ import annotations

from lexport.model import LATEST, Scope
from lexport.simulator import Fleet, FleetSpec
from lexport.simulator.resources.policies import _FOR_URLS, _VARIANTS, _Context, _statements_of
from lexport.simulator.resources.urls import urls_of

SCOPE = Scope(account_id="111122223333", region="us-east-1")


def test_every_document_is_a_policy_of_a_function_and_of_an_alias():
    """400 functions and their aliases have each document, with URLs of both kinds where a URL decides, and none."""
    fleet = Fleet(FleetSpec(functions=400, versions=2))
    found = {}
    for index in fleet.indexes(SCOPE):
        types = {url.qualifier or LATEST: url.auth_type for url in urls_of(fleet, SCOPE, index)}
        for qualifier in (LATEST, *(alias.name for alias in fleet.aliases(SCOPE, index))):
            where = types.get(qualifier, "alias" if qualifier != LATEST else "function")
            found.setdefault(where, []).append(_statements_of(fleet, SCOPE, index, qualifier))

    context = _Context("aws", SCOPE)
    for where, variants in (("function", _VARIANTS), ("alias", _VARIANTS), ("NONE", _FOR_URLS), ("AWS_IAM", _FOR_URLS)):
        missing = [made for make in variants if (made := make(context)) not in found[where]]
        assert missing == []
        assert None in found[where]
