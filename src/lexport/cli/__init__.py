"""The command line: one command a file; each is flags, validation, a call and an exit code."""
