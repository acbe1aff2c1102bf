"""DAVIS label propagation: a backbone -> video masks -> J&F."""
