"""Deployment packages and layers: which ones, downloaded, verified, looked into."""
