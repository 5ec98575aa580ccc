"""Hashes of a file's bytes."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import xxhash

BLOCK = 2**20


def hash_of(file: Path, advance: Callable[[int], None] = lambda _bytes: None) -> str:
    """XXH3 of a file in 32 hex digits, read block by block: against damage, and as fast as the disk.

    Args:
        file: The file.
        advance: Called with the size of every block that was read.

    Raises:
        OSError: If it cannot be read.
    """
    state, block = xxhash.xxh3_128(), memoryview(bytearray(BLOCK))
    with file.open("rb", buffering=0) as stream:
        while count := stream.readinto(block):
            state.update(block[:count])
            advance(count)
    return state.hexdigest()


def sha256_of(file: Path) -> str:
    """SHA-256 of a file in 64 hex digits: for weights, whose hash others publish and compare.

    Raises:
        OSError: If it cannot be read.
    """
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
