"""Studies: comparisons of many runs, each with its own command."""
