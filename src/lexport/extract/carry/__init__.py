"""Carry over what no event and no revision shows to have changed since it was last read."""
