"""The record of one run of the command line: it watches the run, and writes what the run leaves for machines.

``begin`` is called before the run does anything, ``finish`` at the end of the process, however it ends.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lexport.cli._options import NOTIFY_VARIABLE
from lexport.errors import CredentialsError, IncompleteError, SettingsError

if TYPE_CHECKING:
    from lexport.cli._outputs.prometheus import LastRuns
    from lexport.cli._outputs.summary import RunSummary
    from lexport.cli._outputs.webhook import Webhook
    from lexport.dataset.manifest import Manifest
    from lexport.extract.progress import Progress, Report

_KEY = "lexport.record"
_MOST_FORMER_BYTES = 2**20
_FIRST_SIGNAL_CODE = 128


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files that a run writes for machines, and the file with the URL of the webhook that it reports to."""

    summary_file: Path | None = None
    metrics_file: Path | None = None
    notify_url_file: Path | None = None

    def files(self) -> Iterator[tuple[str, str, Path]]:
        """Yield the files to write: the option that names it, the name of the option as a parameter, and the path."""
        for name in ("summary_file", "metrics_file"):
            path = getattr(self, name)
            if path is not None:
                yield f"--{name.replace('_', '-')}", name, path


OPTIONS = tuple(field.name for field in fields(Outputs))


class RunRecord:
    """What is known of one run of the command line ``arguments``. Commands that leave nothing have no ``_outputs``."""

    def __init__(self, arguments: Sequence[str] = (), context: click.Context | None = None) -> None:
        self._arguments, self._context = arguments, context
        self._outputs: Outputs | None = None
        self.progress: Progress | None = None
        self.result: Any = None
        self.manifest: Manifest | None = None
        self._command, self._dest = "lexport", ""
        self._started_at = datetime.now(UTC)
        self._started_s = time.monotonic()
        self._last: LastRuns | None = None
        self._webhook: Webhook | None = None
        self._signals: tuple[str, ...] = ()

    def begin(self, outputs: Outputs, *, command: str, dest: str) -> None:
        """Check the files and the webhook, and write that the run goes on. Raises SettingsError for a wrong one."""
        self._command, self._dest = command.removeprefix("lexport "), dest
        self._outputs, refusals = outputs, []
        try:
            self._webhook = _webhook(outputs)
        except SettingsError as error:
            refusals.append(error)
        if (both := outputs.metrics_file) and outputs.summary_file and _is_same(both, outputs.summary_file):
            refusals.append(SettingsError(f"--metrics-file {both} is the --summary-file too", option="--metrics-file"))
            self._outputs = outputs = replace(outputs, metrics_file=None)
        from lexport.cli._output import check_target

        for option, name, path in outputs.files():
            try:
                check_target(path, option)
                self._write(name, path, self._summary())
            except (OSError, SettingsError) as error:
                refusals.append(_cannot_write(option, path, error) if isinstance(error, OSError) else error)
                self._outputs = replace(self._outputs, **{name: None})
        if refusals:
            raise refusals[0]
        self._signals = _signals()

    def watch(self, report: Report) -> Report:
        """Return a report that does the same, and keeps the progress of the run here."""

        def watched(progress: Progress) -> Coroutine[Any, Any, None]:
            self.progress = progress
            return report(progress)

        return watched

    def finish(self, code: int, error: BaseException | None, text: str = "") -> None:
        """Write how the run ended; ``text`` describes the error. Never raises; a file that fails is a warning."""
        if isinstance(error, click.exceptions.Exit):
            return
        if self._outputs is None and error is not None and self._context is not None:
            with suppress(Exception):  # the command line could not be parsed, or lexport.toml not be read
                self._outputs, self._command, self._dest = find_outputs(self._arguments, self._context)
                if self._outputs is not None:
                    self._signals = _signals()
                    self._webhook = _webhook(self._outputs)
        if self._outputs is None or not (any(self._outputs.files()) or self._webhook or self._signals):
            return
        try:
            summary = self._summary(code, error, text)
        except Exception as failure:  # noqa: BLE001 - the exit code says how the run ended
            _warn(f"the run cannot be summarized: {type(failure).__name__}: {failure}")
            return
        from lexport.cli._output import check_target

        for option, name, path in self._outputs.files():
            try:
                check_target(path, option)
                self._write(name, path, summary)
            except SettingsError as failure:
                _warn(str(failure))
            except OSError as failure:
                _warn(str(_cannot_write(option, path, failure)))
        self._send(summary)

    def _send(self, summary: RunSummary) -> None:
        from lexport.cli._outputs.send import send_all

        sends = {}
        if self._webhook is not None:
            from lexport.cli._outputs.webhook import sender

            sends[f"the notification of {self._webhook.origin}"] = sender(self._webhook, summary)
        if self._signals:
            from lexport.cli._outputs.telemetry import senders

            shards = tuple(self.progress.shards) if self.progress is not None else ()
            sends |= senders(self._signals, summary, shards)
        for what, why in send_all(sends).items():
            _warn(f"{what} failed: {why}")

    def _write(self, name: str, path: Path, summary: RunSummary) -> None:
        from lexport.cli._outputs.prometheus import last_runs, to_prometheus
        from lexport.cli._outputs.summary import to_json

        if name == "summary_file":
            replace_file(path, to_json(summary))
            return
        if self._last is None:
            self._last = last_runs(_read(path), summary)
        replace_file(path, to_prometheus(summary, self._last))

    def _summary(self, code: int | None = None, error: BaseException | None = None, text: str = "") -> RunSummary:
        from lexport.cli._outputs.summary import PUBLISHED_CODES, RunSummary, facts_of, redact, status_of

        dest = redact(self._dest) if self._dest else None
        running = RunSummary(command=self._command, dest=dest, status="running", started_at=self._started_at)
        if code is None:
            return running
        result = error.result if isinstance(error, IncompleteError) else self.result
        if result is None and self.progress is not None:
            result = self.progress.outcome
        ended_at = datetime.now(UTC)
        facts = facts_of(self.progress, result, self.manifest, ended_at)
        published = self.manifest is not None or bool(getattr(result, "published", False))
        if self.progress is not None:
            published = published or self.progress.kept.is_published
        if not published:
            facts |= {"published_rows": 0, "published_bytes": 0}
        return replace(
            running,
            status=status_of(
                code,
                is_refused=result is not None and isinstance(error, IncompleteError | CredentialsError),
                is_interrupted=code > _FIRST_SIGNAL_CODE,
            ),
            exit_code=code,
            error=redact(text) if error is not None and code not in PUBLISHED_CODES else None,
            published=published,
            ended_at=ended_at,
            duration_s=round(time.monotonic() - self._started_s, 6),
            **facts,
        )


def open_record(context: click.Context, arguments: Sequence[str]) -> RunRecord:
    """Open the record of a run of the command line; its commands find it in their contexts."""
    record = context.meta[_KEY] = RunRecord(arguments, context)
    return record


def current_record() -> RunRecord:
    """Return the record of the command that runs."""
    record: RunRecord = click.get_current_context().meta.setdefault(_KEY, RunRecord())
    return record


def find_outputs(arguments: Sequence[str], context: click.Context) -> tuple[Outputs | None, str, str]:
    """Return the outputs that a command line asks for, which could not be parsed, its command, and DEST or "".

    The outputs are None for a command that has none. Flags, variables and ``lexport.toml`` count as far as they can be
    read.
    """
    command: click.Command = context.command
    defaults: Any = context.default_map
    path: list[str] = []
    left = _without_options(command, arguments)
    while isinstance(command, click.Group) and left and (below := command.get_command(context, left[0])) is not None:
        defaults = defaults.get(left[0]) if isinstance(defaults, Mapping) else None
        command, path, left = below, [*path, left[0]], _without_options(below, left[1:])
    options = {option.name: option for option in command.params if option.name in OPTIONS}
    if not options:
        return None, " ".join(path), ""
    lenient = _lenient(command)
    lenient.default_map = defaults if isinstance(defaults, dict) else None
    given, others, _ = command.make_parser(lenient).parse_args(left)
    found = {}
    for name, option in options.items():
        value, _ = option.consume_value(lenient, given)
        found[str(name)] = Path(value) if isinstance(value, str) and value else None
    words = [word for word in (given.get("dest"), *others) if isinstance(word, str) and not word.startswith("-")]
    return Outputs(**found), " ".join(path), words[0] if words else ""


def _lenient(command: click.Command) -> click.Context:
    return click.Context(command, resilient_parsing=True, ignore_unknown_options=True, allow_extra_args=True)


def _without_options(command: click.Command, arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a group from the name of its command on; all of those of a command."""
    if not isinstance(command, click.Group):
        return [*arguments]
    _, left, _ = command.make_parser(_lenient(command)).parse_args([*arguments])
    return [*itertools.dropwhile(lambda argument: argument.startswith("-"), left)]


def _webhook(outputs: Outputs) -> Webhook | None:
    """Return the webhook that the run reports to; raises SettingsError for a wrong URL."""
    if outputs.notify_url_file is None and not os.environ.get(NOTIFY_VARIABLE):
        return None
    from lexport.cli._outputs.webhook import read_webhook

    return read_webhook(outputs.notify_url_file)


def _signals() -> tuple[str, ...]:
    """Return what to send to OpenTelemetry; note what to install where that is not there."""
    if not any(name.startswith("OTEL_") for name in os.environ):
        return ()
    from lexport.cli._outputs.telemetry import is_installed, signals

    asked = signals(os.environ)
    if asked and not is_installed():
        _say("note: the OTEL_ variables ask for spans or metrics; to send them: pip install 'lexport[otel]'", "info")
        return ()
    return asked


def replace_file(path: Path, body: bytes) -> None:
    """Replace a file at once by its new content, with the mode 0644 as far as the umask allows it."""
    from lexport.cli._output import open_replacement

    with open_replacement(Path(os.path.realpath(path)), mode=0o644) as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_FORMER_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _is_same(first: Path, second: Path) -> bool:
    return os.path.realpath(first) == os.path.realpath(second)


def _cannot_write(option: str, path: Path, error: OSError) -> SettingsError:
    return SettingsError(f"{option} {path} cannot be written: {error.strerror or error}", option=option)


def _warn(text: str) -> None:
    _say(f"warning: {text}", "warning")


def _say(text: str, level: str) -> None:
    from lexport.cli._log_options import say_early

    say_early(f"lexport: {text}", level)
