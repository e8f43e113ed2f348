"""SQL that makes a warehouse show a dataset."""
