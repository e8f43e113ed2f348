"""Write rows: ``formats`` for files and pipes, ``result`` also for the screen of a terminal and as Parquet."""
