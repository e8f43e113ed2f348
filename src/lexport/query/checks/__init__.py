"""Checks: their definition, how they run, how findings are written."""
