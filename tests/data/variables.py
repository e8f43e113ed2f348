"""The variables of variables.txt; `python tests/data/variables.py` prints how well the rules tell them."""

from __future__ import annotations

import random
import re
import string
from pathlib import Path

from lexport.extract.secret_rules import secret_rule

LIST = Path(__file__).with_suffix(".txt")
CLASSES = {
    "alnum": string.ascii_letters + string.digits,
    "b64": string.ascii_letters + string.digits + "+/",
    "digit": string.digits,
    "hex": "0123456789abcdef",
    "lower": string.ascii_lowercase + string.digits,
    "upper": string.ascii_uppercase + "234567",
}
PARTS = ("own", "held")


def variables():
    """Yield part, whether the value is a secret, name and value of each line."""
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        part, kind, name, value = line.split(" ", 3)
        yield part, kind == "secret", name, written_out(value, random.Random(line))


def written_out(value, dice):
    """Return a value with its random characters, the same for the same dice."""
    value = re.sub(r"\{(\w+):(\d+)\}", lambda of: "".join(dice.choices(CLASSES[of[1]], k=int(of[2]))), value)
    return value.replace("^", "").replace("\\n", "\n")


def figures(part):
    """Return how many variables a part has, precision, recall, and what was judged wrongly."""
    asked = [(is_secret, name, value) for at, is_secret, name, value in variables() if at == part]
    told = [(is_secret, secret_rule(name, value) is not None) for is_secret, name, value in asked]
    right = sum(is_secret and is_told for is_secret, is_told in told)
    wrong = [each for each, (is_secret, is_told) in zip(asked, told, strict=True) if is_secret is not is_told]
    return (
        len(asked),
        right / sum(is_told for _, is_told in told),
        right / sum(is_secret for is_secret, _ in told),
        wrong,
    )


if __name__ == "__main__":
    for each in PARTS:
        count, precision, recall, wrong = figures(each)
        print(f"{each}: {count} variables, precision {precision:.3f}, recall {recall:.3f}")
        for is_secret, name, value in wrong:
            print(f"    {'missed' if is_secret else 'no secret'}: {name}={value[:60]!r}")
