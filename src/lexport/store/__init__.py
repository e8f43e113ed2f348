"""Where bytes lie. Objects are written once under a unique name and never changed; only the hint is replaced."""
