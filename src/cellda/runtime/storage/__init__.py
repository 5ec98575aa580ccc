"""The store: entries, their locks, and the folder or bucket in which they lie."""
