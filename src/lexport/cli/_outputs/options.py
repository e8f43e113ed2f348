"""The options that say what a run leaves for machines."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lexport.cli._options import declare_options, option
from lexport.cli._outputs.record import OPTIONS, Outputs, current_record
from lexport.settings import Destination

_TEXTS = {
    "summary_file": "Write a summary of the run to this file as JSON, at its end, however it ends.",
    "metrics_file": "Write the same as metrics to this file, a Prometheus textfile.",
    "notify_url_file": "Send the summary to the webhook whose URL is in this file, or in LEXPORT_NOTIFY_URL.",
}


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declare the options, and begin the record of the run before the command does anything."""

    @functools.wraps(command)
    def run(*, dest: Destination, **options: Any) -> Any:
        given = {name: options.pop(name) for name in OPTIONS}
        command_path = click.get_current_context().command_path
        current_record().begin(Outputs(**given), command=command_path, dest=dest.url)
        return command(dest=dest, **options)

    declared = (
        option("Output", f"--{name.replace('_', '-')} FILE", _TEXTS[name], type=click.Path(path_type=Path))
        for name in OPTIONS
    )
    return declare_options(declared)(run)
