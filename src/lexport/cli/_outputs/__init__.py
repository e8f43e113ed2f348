"""What a run leaves for machines: a summary as JSON, a Prometheus textfile.

Everything is rendered from one frozen value, ``RunSummary``. ``RunRecord`` watches the run and writes.
"""
