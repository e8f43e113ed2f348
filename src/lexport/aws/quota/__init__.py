"""How fast we may go: buckets, who waits for them, and what is tried again."""
