"""HTTP/1.1: one request, one response."""
