"""Read the use of functions from CloudWatch: which series there are, and what they say day by day."""
