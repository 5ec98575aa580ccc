"""From published folder layouts and files to tables and pixels."""
