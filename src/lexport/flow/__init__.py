"""One step of the data each: choose targets, discover functions, fetch answers, flatten, stage, Parquet, publish."""
