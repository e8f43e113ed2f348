"""A dbt project over a dataset's files or over a warehouse that has its tables."""
