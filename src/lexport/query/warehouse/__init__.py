"""The dataset as warehouses see it."""
