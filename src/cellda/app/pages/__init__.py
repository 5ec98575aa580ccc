"""Pages, and what their scripts call: one file for each step."""
