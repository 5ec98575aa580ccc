"""Timings of cellda and its peers."""
