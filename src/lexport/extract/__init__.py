"""AWS -> sorted Arrow runs of one account-region."""
