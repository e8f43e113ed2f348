"""Rate limits and retries of API calls."""
