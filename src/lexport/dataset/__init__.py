"""A dataset on disk: its layout, manifests and commits, its data files, and the comparison of two snapshots."""
