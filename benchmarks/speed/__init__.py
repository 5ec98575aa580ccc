"""Timings of cellda beside its peers."""
