"""Manifests -> dependencies: one small pure parser per ecosystem, for untrusted bytes."""
