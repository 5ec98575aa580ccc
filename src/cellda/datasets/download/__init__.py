"""Where datasets are published, and how they come from there."""
