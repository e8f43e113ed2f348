"""Deployment packages and layers: planned, downloaded, verified, stored and inspected; and the SBOM."""
