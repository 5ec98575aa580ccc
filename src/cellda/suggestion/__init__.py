"""Which cells to label next: the suggesters, the call that chooses among a laboratory's images, and the list to label."""

DEFAULT = "schedule"
"""The suggester that is used where none is named. How it was chosen: `benchmarks/DECISIONS.md`."""
