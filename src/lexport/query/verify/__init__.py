"""Whether everything that a dataset says it holds is there, and as it was written."""
