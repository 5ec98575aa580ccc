"""Content-addressed results: a stage is built once, appears by atomic rename, and is found by the digest of its key."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock
from platformdirs import user_cache_path

from cellda.errors import ConfigurationError

KEY = "key.json"
KEYS = 1
"""Part of every stage's digest: increase it by one to invalidate all stored results."""


def digest(content: Mapping[str, Any]) -> str:
    """Sixteen hex digits of the SHA-256 of `content` as canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stage_digest(key: Mapping[str, Any]) -> str:
    """The digest of a stage, computed from its key and `KEYS`."""
    return digest({**key, "keys": KEYS})


class Store:
    """A folder of finished stages, `<root>/<kind>/<digest>/`.

    Args:
        root: The folder; by default `$CELLDA_STORE`, else the user's cache folder.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        chosen = root or os.environ.get("CELLDA_STORE") or user_cache_path("cellda")
        self.root = Path(chosen).expanduser()

    def path(self, kind: str, key: Mapping[str, Any]) -> Path:
        """The folder of the stage with this key, whether or not it exists yet."""
        return self.root / kind / stage_digest(key)

    def build(self, kind: str, key: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        """The folder of a finished stage, built by `make` if it does not exist yet.

        `make` receives a partial folder that survives an interruption, so that it can keep checkpoints there; the folder is
        renamed when `make` has returned. Two processes never build the same stage at the same time.

        Args:
            kind: Name of the stage.
            key: Everything that the stage depends on.
            make: Writes the results into the folder that it receives.

        Raises:
            ConfigurationError: If the store's folder cannot be created.
        """
        final = self.path(kind, key)
        if final.is_dir():
            return final
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"Results cannot be stored in {self.root} ({error.strerror}); choose another folder with store=, --store or "
                "the environment variable CELLDA_STORE."
            ) from error
        with FileLock(f"{final}.lock"):
            if not final.is_dir():
                partial = final.with_name(final.name + ".partial")
                partial.mkdir(exist_ok=True)
                make(partial)
                text = json.dumps({**key, "keys": KEYS}, indent=2, sort_keys=True, default=str)
                (partial / KEY).write_text(text + "\n", encoding="utf-8")
                partial.rename(final)
        Path(f"{final}.lock").unlink(missing_ok=True)
        return final
