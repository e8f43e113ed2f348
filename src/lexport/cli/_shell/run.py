"""The SQL shell: ``lexport sql DEST`` on a terminal without a query."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import click
import pyarrow as pa
from prompt_toolkit import PromptSession
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.output import create_output
from pygments.lexers.sql import PostgresLexer  # type: ignore[import-untyped]

from lexport.aws.logs import say
from lexport.cli._ending import ending
from lexport.cli._foreground import terminal_kept
from lexport.cli._output import notify
from lexport.cli._rows.result import write_result
from lexport.cli._shell.commands import Settings, all_names, run_command
from lexport.cli._shell.completion import NamesCompleter
from lexport.cli._shell.history import open_history
from lexport.cli._signals import Interrupted, each_interrupt, on_signal, received
from lexport.cli._streams import STDOUT, terminal
from lexport.errors import RunError
from lexport.query.shipped_views import tables_read
from lexport.query.sql import QuerySession, is_name, open_query_session
from lexport.query.sql_text import UNPRINTED
from lexport.query.statements import split_statements
from lexport.settings import Destination
from lexport.tables.text import plural, visible

_STOPS_WITHIN_S = 1.0

_WORDS = {"quit": ".quit", "exit": ".exit", "help": ".help"}
"""What people type without a dot."""


def run_shell(dest: Destination, *, as_of: str | None, max_skew: timedelta, settings: Settings) -> None:
    """Ask for statements and run them until the person leaves. An error or Ctrl-C ends a statement, not the shell."""
    with terminal_kept(), _Dataset(dest, as_of, max_skew) as dataset:
        dataset.session()
        prompt = _Prompt()
        interrupts = _Interrupts()
        click.echo(f"{dataset.title}; .help lists the commands")
        with each_interrupt(interrupts.act):
            while (text := prompt.ask()) is not None:
                for statement in _statements(text):
                    if not _run(statement, dataset, settings, interrupts):
                        return


def _statements(text: str) -> Iterator[str]:
    stripped = text.strip()
    if stripped in _WORDS or stripped.startswith("."):
        yield _WORDS.get(stripped, stripped)
        return
    statements, rest = split_statements(text)
    yield from statements
    if rest:
        yield rest


def _is_complete(text: str) -> bool:
    """Return whether Enter runs the text; otherwise it begins another line."""
    stripped = text.strip()
    if not stripped or stripped in _WORDS or stripped.startswith(".") or is_name(stripped):
        return True
    return not split_statements(text)[1]


def _run(statement: str, dataset: _Dataset, settings: Settings, interrupts: _Interrupts) -> bool:
    """Run one statement or dot command and print what went wrong; return False if it leaves the shell."""
    interrupts.has_target = True
    try:
        if statement.startswith("."):
            return run_command(statement, settings)
        _query(statement, dataset, settings)
    except BrokenPipeError:
        pass  # the pager was left early
    except KeyboardInterrupt:
        interrupts.has_target = False
        say("interrupted")
        dataset.settle()
    except Exception as error:  # noqa: BLE001 - the shell goes on
        interrupts.has_target = False
        if isinstance(error, RunError):
            dataset.close()  # the next query opens it again
        for line in ending(error, "sql")[0]:
            say(line, logging.ERROR)
    finally:
        interrupts.has_target = False
    return True


def _query(statement: str, dataset: _Dataset, settings: Settings) -> None:
    session = dataset.session()
    named = session.parameters_of(statement)
    parameters = {name: value for name, value in settings.parameters.items() if name in named}
    began_s = time.monotonic()
    reader = session.read(statement, casts=UNPRINTED, parameters=parameters)
    timer = _Timer(time.monotonic() - began_s)
    dataset.note(statement)
    timed = pa.RecordBatchReader.from_batches(reader.schema, timer.watch(reader))
    rows = write_result(timed, output=settings.mode, stream=sys.stdout.buffer, view=settings.view)
    took = f" in {timer.spent_s:.3f} s" if settings.timer else ""
    say(f"({plural(rows, 'row')}{took})", rows=rows)


class _Timer:
    """Adds up the time that the query takes, without that of a person who reads its result in a pager."""

    def __init__(self, spent_s: float) -> None:
        self.spent_s = spent_s

    def watch(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        while True:
            began_s = time.monotonic()
            batch = next(batches, None)
            self.spent_s += time.monotonic() - began_s
            if batch is None:
                return
            yield batch


class _Interrupts:
    """What Ctrl-C does outside the prompt: end the running statement, once."""

    def __init__(self) -> None:
        self.has_target = False

    def act(self) -> None:
        if self.has_target:
            self.has_target = False
            raise KeyboardInterrupt


class _Dataset:
    """The dataset of the shell. It is opened again where a query left its connection unusable."""

    def __init__(self, dest: Destination, as_of: str | None, max_skew: timedelta) -> None:
        self._dest, self._as_of, self._max_skew = dest, as_of, max_skew
        self._opened = ExitStack()
        self._session: QuerySession | None = None
        self._printed: set[str] = set()

    def __enter__(self) -> _Dataset:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def title(self) -> str:
        """The dataset and its newest snapshot."""
        newest = self.session().catalog.newest
        kind = "retirement" if newest.is_retirement else "snapshot"
        return f"{visible(os.fspath(self._dest))}, newest {kind} {newest.snapshot_at:%Y-%m-%dT%H:%M:%SZ}"

    def session(self) -> QuerySession:
        """Return the open session; open one if there is none."""
        if self._session is None:
            self._session = self._opened.enter_context(open_query_session(self._dest, as_of=self._as_of))
            self._notify_once(self._session.catalog.notices(max_skew=self._max_skew))
        return self._session

    def settle(self) -> None:
        """Give up the connection after an interrupt if the query does not end."""
        if self._session is not None and not self._session.worker.has_stopped(_STOPS_WITHIN_S):
            say("it does not stop at once and goes on in the background; the next one can begin")
            self.close()

    def close(self) -> None:
        self._session = None
        self._opened.close()

    def note(self, statement: str) -> None:
        """Print the notices about the tables of a statement that were not printed before."""
        session = self.session()
        tables = tables_read(statement)
        self._notify_once((*session.catalog.notices(max_skew=self._max_skew, tables=tables), *session.tables.notes))

    def _notify_once(self, notices: tuple[str, ...]) -> None:
        notify(*(line for line in notices if line not in self._printed))
        self._printed.update(notices)


class _Prompt:
    """The line editor."""

    def __init__(self) -> None:
        history, why = open_history()
        if why:
            notify(f"what is typed is not kept: {why}")
        self._session: PromptSession[str] = PromptSession(
            "lexport> ",
            multiline=True,
            prompt_continuation="    ...> ",
            lexer=PygmentsLexer(PostgresLexer),
            history=history,
            completer=NamesCompleter(all_names()),
            complete_while_typing=False,
            key_bindings=_keys(),
            enable_suspend=True,
            include_default_pygments_style=True,
            output=create_output(stdout=terminal(STDOUT)),
        )

    def ask(self) -> str | None:
        """Return what was typed; None at the end of input. Raises Interrupted."""
        with on_signal(lambda _number: self._leave_soon()):
            try:
                text = self._session.prompt(pre_run=self._leave)
            except KeyboardInterrupt:
                text = ""
            except EOFError:
                text = None
        number = received()
        if number is not None:
            raise Interrupted(number)
        return text

    def _leave_soon(self) -> None:
        loop = self._session.app.loop
        if loop is not None:
            loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        """End the prompt if a signal was received."""
        app, number = self._session.app, received()
        if number is not None and app.is_running and app.future is not None and not app.future.done():
            app.exit(exception=EOFError)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter", filter=has_focus(DEFAULT_BUFFER))
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if _is_complete(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return keys
