"""Keeps the memory that training frees and allocates again at every step."""

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of the two settings in glibc's `mallopt`."""

KEPT = 2**30
"""Freed blocks up to this many bytes, and this many bytes at the end of the heap, stay with the process."""


@cache
def keep_freed_memory() -> bool:
    """Let this process keep the memory of freed tensors for the next ones; once per process, on Linux with glibc.

    By default glibc returns blocks over 32 MB to the system, and everything beyond 64 MB at the end of its heap. A training
    step frees several hundred MB of activations, and the next one requests them page by page, each zeroed by
    the system: 20,000 page faults and a fifth to a third of the time of a step of 8 or 16 images on two cores
    (docs/speed.md). The process holds its peak memory until it ends.

    Returns:
        Whether the system's allocator supports these settings; elsewhere, nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    # Some releases refuse to keep blocks over 32 MB.
    blocks = mallopt(_MMAP_THRESHOLD, KEPT) or mallopt(_MMAP_THRESHOLD, 2**25)
    end = mallopt(_TRIM_THRESHOLD, KEPT)
    return bool(blocks and end)
