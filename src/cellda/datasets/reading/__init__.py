"""Read published folder layouts and files into tables and pixels."""
