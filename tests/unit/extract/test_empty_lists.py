"""An empty list of aliases that arrived just before a wrong response is requested again."""

from __future__ import annotations

from lexport.aws.http.message import MAX_DOUBTS, ResponseSource
from lexport.extract.empty_lists import MAX_DOUBTFUL, MAX_UNCONFIRMED, EmptyLists
from lexport.model import Reply


def empty(source):
    return Reply(parsed={"Aliases": []}, body=b"", source=source)


def test_a_list_before_a_wrong_response_is_doubtful():
    """A list that arrived after its connection's last matching response is doubtful once that connection is retired."""
    one, other, lost = ResponseSource(), ResponseSource(), []
    lists = EmptyLists("ListAliases", lambda name, _: lost.append(name))
    lists.add("proven", empty(one))
    one.confirm()
    lists.add("doubtful", empty(one))
    lists.add("elsewhere", empty(other))
    other.confirm()
    one.retire()
    lists.add("late", empty(one))
    lists.add("unknown", empty(None))

    assert (lists.doubtful(), lost) == (["doubtful", "late"], [])


def test_the_last_list_of_a_connection_is_doubtful():
    """A list that no response followed on its connection is doubtful at the end."""
    source = ResponseSource()
    lists = EmptyLists("ListAliases", lambda *_: None)
    lists.add("last", empty(source))

    assert lists.doubtful() == ["last"]


def test_memory_is_bounded():
    """A connection and an account-region each keep a limited number of doubtful lists; one beyond the limit is lost."""
    lost = []
    lists = EmptyLists("ListAliases", lambda name, error: lost.append((name, error.code)))
    source = ResponseSource()
    for number in range(MAX_UNCONFIRMED + 10):
        lists.add(f"kept-{number}", empty(source))
    source.retire()
    assert lists.doubtful() == [
        f"kept-{number}" for number in range(MAX_UNCONFIRMED + 10 - MAX_DOUBTS, MAX_UNCONFIRMED + 10)
    ]

    retired = ResponseSource()
    retired.retire()
    for number in range(MAX_DOUBTFUL):
        lists.add(f"more-{number}", empty(retired))
    assert len(lists.doubtful()) == MAX_DOUBTFUL
    assert lost == [(f"more-{number}", "wrong_answer") for number in range(MAX_DOUBTFUL - MAX_DOUBTS, MAX_DOUBTFUL)]
