"""Help pages have options in groups and examples that the command line accepts."""

import re
import shlex
from typing import get_args

import click
import pytest

from lexport.cli._commands import COMMAND_GROUPS, COMMANDS, EXAMPLES, all_commands
from lexport.cli._help import Group, Option, option_groups

COMMAND_BY_NAME = all_commands()
PAGES = ["", "shard", *COMMAND_BY_NAME]


def help_of(name, width):
    """Return the help of a command as a terminal of this width shows it; "" is the command line as a whole."""
    from lexport.cli._commands import cli

    command = COMMAND_BY_NAME.get(name) or cli.get_command(click.Context(cli), name) or cli
    context = click.Context(command, info_name=f"lexport {name}".strip(), terminal_width=width, max_content_width=width)
    return command.get_help(context)


@pytest.mark.parametrize("name", COMMAND_BY_NAME)
def test_each_option_has_a_group(name):
    """Every option of every command stands under the title of a declared group, and its help is a sentence."""
    options = [parameter for parameter in COMMAND_BY_NAME[name].params if not isinstance(parameter, click.Argument)]

    assert all(isinstance(option, Option) and option.group in get_args(Group) for option in options)
    for option in options:
        assert re.match(r"[A-Z][a-z]+,? .*[^.]\.(  \[default: .*\])?\Z", option.help), option.help


@pytest.mark.parametrize("name", COMMAND_BY_NAME)
def test_an_option_does_not_stand_without_its_value(name):
    """Every option that takes a value is refused without one, unless its help shows the value in brackets."""
    command = COMMAND_BY_NAME[name]
    for option in command.params:
        takes_value = isinstance(option, click.Option) and not option.is_flag and not option.count
        if takes_value and not (option.metavar or "").startswith("["):
            with pytest.raises(click.BadOptionUsage, match="requires"):
                command.make_context(name, [option.opts[-1]])


def test_each_group_has_options():
    """Every declared group is the group of some option."""
    groups = {
        parameter.group for each in COMMAND_BY_NAME.values() for parameter in each.params if hasattr(parameter, "group")
    }

    assert groups == set(get_args(Group))


@pytest.mark.parametrize("name", COMMAND_BY_NAME)
def test_help_shows_all_options_and_examples(name):
    """The help of a command shows each option once, under its title, and then the examples as they are typed."""
    command = COMMAND_BY_NAME[name]
    with click.Context(command, info_name=name) as context:
        groups = option_groups(command, context)
    page, _, examples = help_of(name, 100).partition("\nExamples:\n")
    titles = re.findall(r"^([A-Z].*):$", page, re.MULTILINE)

    assert titles == [*groups]
    assert titles[-1] == "Help"
    for title, records in groups.items():
        section = page.partition(f"\n{title}:\n")[2].partition("\n\n")[0]
        assert re.findall(r"^  (-\S+)", section, re.MULTILINE) == [re.split(r"[ ]", term)[0] for term, _ in records]
    assert [line.removeprefix("  ") for line in examples.splitlines()] == list(command.examples)


@pytest.mark.parametrize("name", COMMAND_BY_NAME)
def test_examples_are_accepted(name):
    """Every command has at least two examples; the command line accepts their options and values."""
    command = COMMAND_BY_NAME[name]

    assert len(command.examples) >= 2
    for example in command.examples:
        program, *arguments = shlex.split(example)
        called, arguments = arguments[: len(name.split())], arguments[len(name.split()) :]
        assert (program, called) == ("lexport", name.split())
        command.make_context(name, arguments).close()


def test_examples_of_the_command_line_are_accepted():
    """The examples of ``lexport --help`` are accepted too."""
    for example in EXAMPLES:
        _, called, *arguments = shlex.split(example)
        COMMAND_BY_NAME[called].make_context(called, arguments).close()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [50, 80, 100])
def test_help_fits_the_terminal(name, width):
    """No line is wider than the terminal but a term or an example; descriptions begin in one column on each page."""
    page = help_of(name, width).partition("\nExamples:\n")[0]
    columns = {len(line) - len(line.lstrip()) for line in page.partition("\n\n")[2].splitlines() if line[:12].isspace()}

    assert [line for line in page.splitlines() if len(line) > width and not line.startswith("  -")] == []
    assert len(columns) <= 1


def test_commands_are_listed_in_groups():
    """``lexport --help`` lists every command once, under the title of its group."""
    page = help_of("", 100)

    for title, lines in COMMAND_GROUPS.items():
        section = page.partition(f"\n{title}:\n")[2].partition("\n\n")[0]
        assert [tuple(line.split(maxsplit=1)) for line in section.splitlines()] == list(lines.items())
    assert len(COMMANDS) == len(set(COMMANDS))
