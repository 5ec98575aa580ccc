"""Where runs find their data, keep their results and show their progress."""

from contextlib import AbstractContextManager
from pathlib import Path

from cellda.data.root import DataRoot
from cellda.runtime import progress as bars
from cellda.runtime.store import Store


class Workspace:
    """What surrounds every run; it is built once, at the door, and handed on.

    Args:
        data: Folder that holds one folder per dataset name, or what loads from it; None where only synthetic datasets and
            datasets with paths of their own are used.
        store: Where results of stages are kept; by default `$CELLDA_STORE`, else the user's cache folder.
        progress: Whether progress and time estimates are shown on standard error.
    """

    def __init__(
        self,
        data: str | Path | DataRoot | None = None,
        store: str | Path | Store | None = None,
        *,
        progress: bool = True,
    ) -> None:
        self.data = data if isinstance(data, DataRoot) else DataRoot(data)
        self.store = store if isinstance(store, Store) else Store(store)
        self.progress = progress

    def display(self) -> AbstractContextManager[None]:
        """Show the bars of everything inside, where progress is shown at all."""
        return bars.display(self.progress)
