"""One run on several processes or machines: dask.distributed hands shards, files and packages to workers."""
