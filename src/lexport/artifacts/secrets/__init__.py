"""Secrets in the text of stored packages: where they are and which rule found them, never the secret."""
