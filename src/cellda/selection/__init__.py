"""Choosing the values of an adapter: the search, what judges its trials, and the folds of a support set."""
