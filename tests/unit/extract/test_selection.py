"""Every form in which a user may name a function, and every line that is none."""

from __future__ import annotations

import io
import sys

import pytest

from lexport.errors import SettingsError
from lexport.extract.selection import choose_shards, read_selection
from lexport.model import FunctionRef, Scope, Shard

ARN = "arn:aws:lambda:us-west-2:123456789012:function:my-function"


def taken_apart(text):
    (named,) = read_selection([text], None)
    return named.text, named.name, named.qualifier, named.account_id, named.region


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my-function", ("my-function", "my-function", None, None, None)),
        ("my-function:v1", ("my-function", "my-function", "v1", None, None)),
        ("my-function:7", ("my-function", "my-function", "7", None, None)),
        ("my-function:$LATEST", ("my-function", "my-function", None, None, None)),
        ("My_Function-2", ("My_Function-2", "My_Function-2", None, None, None)),
        (ARN, (ARN, "my-function", None, "123456789012", "us-west-2")),
        (ARN + ":v1", (ARN, "my-function", "v1", "123456789012", "us-west-2")),
        (ARN + ":$LATEST", (ARN, "my-function", None, "123456789012", "us-west-2")),
        (
            "123456789012:function:my-function",
            ("123456789012:function:my-function", "my-function", None, "123456789012", None),
        ),
        (
            "123456789012:function:my-function:3",
            ("123456789012:function:my-function", "my-function", "3", "123456789012", None),
        ),
        ("function:my-function", ("function:my-function", "my-function", None, None, None)),
        ("us-east-1.edge", ("us-east-1.edge", "us-east-1.edge", None, None, None)),
        (
            "arn:aws-cn:lambda:cn-north-1:123456789012:function:f",
            ("arn:aws-cn:lambda:cn-north-1:123456789012:function:f", "f", None, "123456789012", "cn-north-1"),
        ),
        (
            "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f:live",
            (
                "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f",
                "f",
                "live",
                "123456789012",
                "us-gov-west-1",
            ),
        ),
        (
            "arn:aws-eusc:lambda:eusc-de-east-1:123456789012:function:f",
            ("arn:aws-eusc:lambda:eusc-de-east-1:123456789012:function:f", "f", None, "123456789012", "eusc-de-east-1"),
        ),
        (
            "arn:aws-iso-b:lambda:us-isob-east-1:123456789012:function:f",
            (
                "arn:aws-iso-b:lambda:us-isob-east-1:123456789012:function:f",
                "f",
                None,
                "123456789012",
                "us-isob-east-1",
            ),
        ),
        ("f" * 64, ("f" * 64, "f" * 64, None, None, None)),
    ],
)
def test_every_form_of_a_name(text, expected):
    """Whatever GetFunction accepts is taken apart: name, partial ARN, ARN, each with or without a qualifier."""
    assert taken_apart(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "names no function"),
        ("my function", "is no function name, partial ARN or ARN"),
        ("my-function:", "is no function name, partial ARN or ARN"),
        (":v1", "is no function name, partial ARN or ARN"),
        ("f:1:2", "is no function name, partial ARN or ARN"),
        ("f:$latest", "is no function name, partial ARN or ARN"),
        ("f\n", "is no function name, partial ARN or ARN"),
        ("arn:aws:lambda:us-west-2:123456789012:layer:l:1", "is no function name, partial ARN or ARN"),
        ("arn:aws:s3:::bucket", "is no function name, partial ARN or ARN"),
        ("arn:aws:lambda:us-west-2:123456789012:my-function", "is no function name, partial ARN or ARN"),
        ("arn:aws:lambda:us-west-2:function:my-function", "is no function name, partial ARN or ARN"),
        ("arn:aws:lambda:mars:123456789012:function:f", "is no function name, partial ARN or ARN"),
        ("f" * 65, "has a name longer than 64 characters"),
        ("arn:aws:lambda:us-west-2:123456789012:function:" + "f" * 65, "has a name longer than 64 characters"),
        ("us-east-1." + "f" * 260, "is longer than 256 characters"),
        ("f:$LATEST.PUBLISHED", "asks for $LATEST.PUBLISHED, which lexport does not read"),
        (ARN + ":$LATEST.PUBLISHED", "asks for $LATEST.PUBLISHED, which lexport does not read"),
    ],
)
def test_what_is_no_function(text, reason):
    """What is no function is refused with the option, the text and the reason."""
    with pytest.raises(SettingsError) as refused:
        read_selection(["fine", text], None)

    assert str(refused.value) == f"--function: {text!r} {reason}"
    assert refused.value.option == "--function"


KNOWN = "if it is a head: known are function_name, function_arn, function, name, arn"
ONE_WORD_HEADS = ("function_name", "Function Name", "FunctionName", "function-arn", "FunctionArn", "function", "NAME")

# --- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def listed(tmp_path):
    """Return a function: the text of a file -> name and qualifier of each function in it."""

    def run(text):
        path = tmp_path / "functions.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return [(named.name, named.qualifier) for named in read_selection([], str(path))]

    return run


@pytest.mark.parametrize(
    "text",
    [
        "a\nb:1\n",
        "a\r\nb:1\r\n",
        "a\nb:1",
        "\n  a  \n\n# a comment\n   # another\nb,1\n",
        "a,\nb,1\n",
        "a,$LATEST\nb,1\n",
        "function_name\na\nb:1\n",
        "function_name,qualifier\na,\nb,1\n",
        "Function,Version\na,$LATEST\nb,1\n",
        "name,alias\na\nb,1\n",
        "account,qualifier,function_arn,more\n1,,a,x\n2,1,b,y\n",
        '"a"\n"b","1"\n',
        b"\xef\xbb\xbfa\nb:1\n",
        b"\xef\xbb\xbffunction_name,qualifier\na,\nb,1\n",
        "# first a comment\n\nfunction_name,qualifier\na,\nb,1\n",
        "a\na\nb,1\nb:1\na:$LATEST\n",
        *(f"{head}\na\nb:1\n" for head in ONE_WORD_HEADS),
        *(f"{head},Version\na,\nb,1\n" for head in ONE_WORD_HEADS),
        '"Function Name","Function Version"\n"a","$LATEST"\n"b","1"\n',
        '"FunctionName", "Version"\n"a", ""\n"b", "1"\n',
        "FunctionName\n------------\na\nb:1\n",
        "FunctionName\tVersion\tRuntime\na\t$LATEST\tgo\nb\t1\tgo\n",
        "a\t$LATEST\nb\t1\n",
        "function_name  version\n-------------  -------\na              $LATEST\nb              1\n",
        " function_name | version \n---------------+---------\n a | $LATEST\n b | 1\n(2 rows)\n",
        "| function | version |\n|:---|---:|\n| a | $LATEST |\n| b | 1 |\n",
        "| a |\n| b:1 |\n",
        "+------+\n| name |\n+------+\n| a    |\n| b:1  |\n+------+\n",
        "-----------------\n| ListFunctions |\n+---------------+\n|  a            |\n|  b:1 |\n+---------------+\n",
        "---\n| ListFunctions |\n+-+-+\n| Name | Version|\n+---+--+\n|  a   | $LATEST|\n|  b   | 1      |\n+---+---+\n",
        "\ufefffunction_name\r\na\r\nb:1\r\n".encode("utf-16-le"),
        "a\nb:1\n".encode("utf-16"),
    ],
)
def test_every_form_of_a_file(listed, text):
    """One a line, CSV or a table, with or without head, comments, blanks, a byte order mark, duplicates: the same."""
    assert listed(text) == [("a", None), ("b", "1")]


@pytest.mark.parametrize("word", ["function", "name", "Name", "arn"])
def test_a_head_that_may_be_a_function(tmp_path, word):
    """Such a word is a head where more follows, and that is noted; alone, with a version or further down it is none."""
    path, notes = tmp_path / "list", []

    def listed(text):
        path.write_text(text)
        return [(named.name, named.qualifier) for named in read_selection([], str(path), note=notes.append)]

    assert listed(f"{word}\n") == [(word, None)]
    assert listed(f"{word},1\n") == [(word, "1")]
    assert listed(f"{word}:$LATEST\nother\n") == [(word, None), ("other", None)]
    assert listed(f"other\n{word}\n") == [("other", None), (word, None)]
    assert notes == []
    assert listed(f"{word}\nother\n") == [("other", None)]
    assert notes == [
        f"{path}:1: {word!r} is taken for the head of the list; a function of this name is written {word}:$LATEST"
    ]


@pytest.mark.parametrize("head", ["lambda_name", "Functions", "ResourceARN", "fn"])
def test_what_looks_like_a_head_and_is_none(tmp_path, head):
    """It is read as the function that it may be, and said, with the heads that are known."""
    path, notes = tmp_path / "list", []
    path.write_text(f"{head}\nf\n")

    assert [named.name for named in read_selection([], str(path), note=notes.append)] == [head, "f"]
    assert notes == [f"{path}:1: {head!r} is read as a function; {KNOWN}"]


@pytest.mark.parametrize("text", ["a\tb\n", "a\tb\tc\n", "a\t$LATEST\tpython3.12\n", "a\nb\tprod\n"])
def test_cells_that_may_mean_anything(tmp_path, text):
    """The AWS CLI's text puts many names into one line, or name and alias: neither is guessed at."""
    path = tmp_path / "list"
    path.write_text(text)
    with pytest.raises(SettingsError, match="several cells without a head; write one function a line, as --query"):
        read_selection([], str(path))


def test_dashes_can_be_a_function(listed):
    """Where no border can be, dashes are what they are to AWS: a name."""
    assert listed("a\nb\n---\n") == [("a", None), ("b", None), ("---", None)]


def test_a_file_and_flags_together(tmp_path):
    """What flags and file name is read in order, each once."""
    path = tmp_path / "list"
    path.write_text("b\nc\n")

    assert [named.name for named in read_selection(["a", "b"], str(path))] == ["a", "b", "c"]


def test_standard_input(monkeypatch):
    """``-`` reads standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb,1\n")))

    assert [(named.name, named.qualifier) for named in read_selection([], "-")] == [("a", None), ("b", "1")]


def test_a_bad_line_of_standard_input(monkeypatch):
    """A bad line of standard input is named as such."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n\n b c\n")))
    with pytest.raises(SettingsError) as refused:
        read_selection([], "-")

    assert str(refused.value) == "<stdin>:3: 'b c' is no function name, partial ARN or ARN"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a\n# x\nb c\n", 3, "'b c' is no function name, partial ARN or ARN"),
        ("a,1\n,2\n", 2, "'' names no function"),
        ("function_name,qualifier\na,1\n,2\n", 3, "'' names no function"),
        ("a\nf:1,2\n", 2, "'f:1' says '1' itself, the qualifier column '2'"),
        ("a\nf,not ok\n", 2, "'f' has a qualifier that is none: 'not ok'"),
        ("function (prod)\nf\n", 1, f"'function (prod)' is no function name, partial ARN or ARN; {KNOWN}"),
        ("id,name_of_it,x\n1,f,2\n", 1, f"3 columns without a header line; wanted function[,qualifier]; {KNOWN}"),
        ("a\nf,$LATEST.PUBLISHED\n", 2, "'f' asks for $LATEST.PUBLISHED, which lexport does not read"),
        ("a\nb,1,x\n", 2, "3 columns without a header line; wanted function[,qualifier]"),
        ('a\n"b\n', 2, "unexpected end of data"),
        ("a\n" + "f" * 65, 2, repr("f" * 65) + " has a name longer than 64 characters"),
    ],
)
def test_a_bad_line(tmp_path, text, line, reason):
    """A bad line is refused with file, line and reason."""
    path = tmp_path / "functions.csv"
    path.write_text(text)
    with pytest.raises(SettingsError) as refused:
        read_selection([], str(path))

    assert str(refused.value) == f"{path}:{line}: {reason}"
    assert refused.value.option == "--functions-from"


def test_agreeing_qualifiers(listed):
    """A qualifier may stand in both places, if it is the same."""
    assert listed("f:1,1\nf:$LATEST,$LATEST\n") == [("f", "1"), ("f", None)]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "function_name,qualifier\n"])
def test_a_list_of_nothing(tmp_path, text):
    """A list that names nothing is a mistake, not an empty snapshot."""
    path = tmp_path / "list"
    path.write_text(text)
    with pytest.raises(SettingsError, match="names no function"):
        read_selection([], str(path))


@pytest.mark.parametrize("name", ["absent", "folder", "binary"])
def test_what_cannot_be_read(tmp_path, name):
    """A file that is not there, is none or is no text is refused by name."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError) as refused:
        read_selection([], str(tmp_path / name))

    assert str(refused.value).startswith(f"--functions-from {tmp_path / name}: ")


# --- shards --------------------------------------------------------------------------------------------------------

HOME = "111122223333"


def named(name, qualifier=None, called_as=None):
    return FunctionRef(function_name=name, qualifier=qualifier, called_as=called_as, is_named=True)


def test_fleets():
    """Without a list, each Region of the account is a fleet of its own."""
    shards = choose_shards(None, account_id=HOME, regions=("eu-west-1", "us-east-1"), uncertain=("us-east-1",))

    assert shards == [
        Shard(scope=Scope(account_id=HOME, region="eu-west-1")),
        Shard(scope=Scope(account_id=HOME, region="us-east-1"), region_status="uncertain"),
    ]
    assert [shard.coverage for shard in shards] == ["fleet", "fleet"]


def test_a_selection_by_scope():
    """Listed functions are read where their ARN says, the others in each Region asked for, each call once."""
    selection = read_selection(
        [
            "a",
            "a:$LATEST",
            "b:live",
            f"{HOME}:function:a",
            f"arn:aws:lambda:us-east-1:{HOME}:function:a",
            f"arn:aws:lambda:us-east-1:{HOME}:function:a:7",
            "123456789012:function:c:1",
            ARN,
        ],
        None,
    )
    shards = choose_shards(selection, account_id=HOME, regions=("eu-west-1", "us-east-1"))
    other = named("c", "1", "123456789012:function:c")

    assert shards == [
        Shard(scope=Scope(account_id=HOME, region="eu-west-1"), refs=(named("a"), named("b", "live"))),
        Shard(scope=Scope(account_id=HOME, region="us-east-1"), refs=(named("a"), named("b", "live"), named("a", "7"))),
        Shard(scope=Scope(account_id="123456789012", region="eu-west-1"), refs=(other,)),
        Shard(scope=Scope(account_id="123456789012", region="us-east-1"), refs=(other,)),
        Shard(scope=Scope(account_id="123456789012", region="us-west-2"), refs=(named("my-function", None, ARN),)),
    ]
    assert {shard.coverage for shard in shards} == {"selection"}


@pytest.mark.parametrize(
    ("qualifier", "is_alias"), [(None, False), ("$LATEST", False), ("12", False), ("live", True), ("v1", True)]
)
def test_only_an_alias_is_an_alias(qualifier, is_alias):
    """Aliases are never all digits, and ``$LATEST`` is none."""
    assert FunctionRef(function_name="f", qualifier=qualifier).is_alias is is_alias
