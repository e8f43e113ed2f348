"""Checks: their definition, their run over a dataset, and the formats of their findings."""
