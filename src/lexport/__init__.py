"""Turn an AWS Lambda fleet into a dataset."""
