"""What runs need at run time: the store, the device, memory, progress and time."""
