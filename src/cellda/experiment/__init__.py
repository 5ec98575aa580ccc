"""One run, and many that are compared: what is checked, made, stored and named."""
