"""Manifest -> dependencies: one small pure parser per ecosystem, for bytes that nobody vouches for."""
