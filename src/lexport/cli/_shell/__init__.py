"""The SQL shell: ``run`` is its loop, beside it are the dot commands, completion and history."""
