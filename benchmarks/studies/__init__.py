"""Studies: many runs that are compared, each a command of its own."""
