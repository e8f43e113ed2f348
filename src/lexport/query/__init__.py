"""Read a dataset: SQL, views, diff, feed, checks, report."""
