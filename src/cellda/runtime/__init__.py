"""What a run runs on: the store, the device, memory, progress and time."""
