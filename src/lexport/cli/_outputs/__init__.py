"""What a run writes for machines: a summary as JSON, a Prometheus textfile, a webhook's message, spans and counters.

All of them are rendered from one frozen value, ``RunSummary``. ``RunRecord`` watches the run, and writes and sends.
"""
