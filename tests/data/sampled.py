"""How many examples a property is tried with: a third in the suite, all of them by ``make fuzz``."""

import os

IS_WHOLE = "LEXPORT_FUZZ_RUNS" in os.environ


def examples(whole: int) -> int:
    """Return how many of so many examples are tried."""
    return whole if IS_WHOLE else max(10, whole // 3)
