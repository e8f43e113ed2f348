"""The reading side, one act a file: open a dataset, then ask it in SQL, make views of it, tell its status."""
