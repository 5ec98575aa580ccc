"""Which cells to label next: the suggesters, the call that chooses among a laboratory's images, and the list to label."""

DEFAULT = "typiclust"
"""The suggester that is used where none is named: the best in `benchmarks/results/suggest`, without any label."""
