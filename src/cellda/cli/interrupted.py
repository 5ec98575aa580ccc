"""What an interruption leaves: said for each command, without heavy imports, also while cellda is still loading."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

STAGES = "Finished stages are kept; the same command continues from there."
CHANGED_NOTHING = "Nothing was changed."

KEPT = {
    "run": STAGES,
    "adapt": STAGES,
    "ablate": STAGES,
    "bench": STAGES,
    "datasets fetch": "What has arrived is kept; the same command continues from there.",
    "store clear": "What was removed is gone; the rest is as it was.",
    "predict": "The rows that are predicted are kept; the same command continues from there.",
    "table": "Nothing was saved.",
    "figure": "Nothing was saved.",
}
"""Command -> what is kept; any other command only shows something."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Context in which an interruption ends the process with one sentence and status 130."""
    try:
        yield
    except KeyboardInterrupt:
        words = [word for word in sys.argv[1:3] if not word.startswith("-")]
        command = next((name for name in (" ".join(words), *words[:1]) if name in KEPT), "")
        print(f"Interrupted. {KEPT.get(command, CHANGED_NOTHING)}", file=sys.stderr)
        raise SystemExit(130) from None
