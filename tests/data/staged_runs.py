"""Write staged rows as one sorted run, as a test wants them."""

from __future__ import annotations

from lexport.dataset.runs import RunWriter


def write_run(table, batches, folder, file_mode=0o600):
    """Write batches of staged rows as one run file in a folder; return the run."""
    writer = RunWriter(folder, file_mode=file_mode)
    for batch in batches:
        writer.collect(table, batch)
    writer.flush()
    return writer.runs[table.name][0]
