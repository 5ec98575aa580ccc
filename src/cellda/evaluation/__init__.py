"""Evaluation: prediction tables, measures with intervals, and comparisons; every number comes from predictions."""
