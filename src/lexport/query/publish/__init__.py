"""Committed files as tables of other catalogs: Iceberg and DuckLake name the files, and copy none."""
