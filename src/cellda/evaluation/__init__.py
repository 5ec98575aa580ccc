"""Evaluation: prediction tables, measures with intervals, comparisons; all computed from predictions."""
