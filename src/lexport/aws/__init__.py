"""Everything that talks to AWS: credentials, signing, HTTP, rate limits, errors, redaction of secrets."""
