"""Choosing the values of an adapter: the search, the selectors that score its trials, and the folds of a support set."""
