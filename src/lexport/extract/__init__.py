"""Read account-regions from AWS into sorted Arrow runs."""
