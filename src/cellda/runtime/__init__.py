"""What a run depends on while it runs: the store, the device, memory, progress and time."""
