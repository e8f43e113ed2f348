"""Verify a dataset: every file that it names exists and has the bytes that were written."""
