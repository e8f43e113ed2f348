"""Every time-out and delay between attempts is made by ``scaled``, so that tests can wait for a fraction of them.

The variable LEXPORT_TEST_WAITS is that fraction, above 0 and at most 1. It is for tests alone: a run with shorter
time-outs gives up on answers that are merely slow.
"""

from __future__ import annotations

import os

from lexport.errors import SettingsError

VARIABLE = "LEXPORT_TEST_WAITS"


def _read_fraction(text: str) -> float:
    try:
        fraction = float(text)
    except ValueError:
        fraction = 0.0
    if not 0.0 < fraction <= 1.0:
        raise SettingsError(f"{VARIABLE} is a number above 0 and at most 1, and for tests alone", option=VARIABLE)
    return fraction


_FRACTION = _read_fraction(os.environ.get(VARIABLE) or "1")


def scaled(seconds: float) -> float:
    """Return a time-out or a delay as this process waits for it."""
    return seconds * _FRACTION
