"""What is in a store."""

from pathlib import Path

from cellda.runtime.storage.entry import PARTIAL


def finished(store: Path) -> dict[str, tuple[int, int]]:
    """What identifies each finished entry: made a second time, it would be another."""
    found = {}
    for manifest in store.glob("*/*/manifest.json"):
        if not manifest.parent.name.endswith(PARTIAL):
            facts = manifest.stat()
            found[f"{manifest.parent.parent.name}/{manifest.parent.name}"] = (facts.st_ino, facts.st_mtime_ns)
    return found
