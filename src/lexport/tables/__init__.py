"""Every table: its columns, their types and where AWS sends them."""
