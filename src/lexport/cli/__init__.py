"""The command line. Each command has a file; files whose names begin with ``_`` are shared by commands."""
