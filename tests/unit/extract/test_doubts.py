"""Empty lists of aliases that came just before a wrong answer are to be listed again."""

from __future__ import annotations

from lexport.aws.http.message import MAX_DOUBTS, ResponseSource
from lexport.extract.doubts import DOUBTFUL_KEPT, UNPROVEN_KEPT, Doubts
from lexport.model import Reply


def empty(source):
    return Reply(parsed={"Aliases": []}, body=b"", source=source)


def test_what_came_before_a_wrong_answer():
    """Names that came over a connection after its last proof are doubtful when it is retired; others are not."""
    one, other, lost = ResponseSource(), ResponseSource(), []
    doubts = Doubts(lambda name, _: lost.append(name))
    doubts.note_empty("proven", empty(one))
    one.trust()
    doubts.note_empty("doubtful", empty(one))
    doubts.note_empty("elsewhere", empty(other))
    other.trust()
    one.retire()
    doubts.note_empty("late", empty(one))
    doubts.note_empty("unknown", empty(None))

    assert (doubts.settle(), lost) == (["doubtful", "late"], [])


def test_what_came_last():
    """Names that nothing came after on their connection are doubtful at the end."""
    source = ResponseSource()
    doubts = Doubts(lambda *_: None)
    doubts.note_empty("last", empty(source))

    assert doubts.settle() == ["last"]


def test_what_is_held_is_bounded():
    """A connection keeps its last few doubts, and so does an account-region; beyond the limit it is a gap."""
    lost = []
    doubts = Doubts(lambda name, error: lost.append((name, error.code)))
    source = ResponseSource()
    for number in range(UNPROVEN_KEPT + 10):
        doubts.note_empty(f"kept-{number}", empty(source))
    source.retire()
    assert doubts.settle() == [
        f"kept-{number}" for number in range(UNPROVEN_KEPT + 10 - MAX_DOUBTS, UNPROVEN_KEPT + 10)
    ]

    retired = ResponseSource()
    retired.retire()
    for number in range(DOUBTFUL_KEPT):
        doubts.note_empty(f"more-{number}", empty(retired))
    assert len(doubts.settle()) == DOUBTFUL_KEPT
    assert lost == [(f"more-{number}", "wrong_answer") for number in range(DOUBTFUL_KEPT - MAX_DOUBTS, DOUBTFUL_KEPT)]
