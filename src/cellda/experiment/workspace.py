"""The surroundings of runs: data, store and progress display."""

from contextlib import AbstractContextManager
from pathlib import Path

from cellda.data.root import DataRoot
from cellda.runtime import progress as bars
from cellda.runtime.store import Store


class Workspace:
    """Data, store and progress display of runs; built once by the entry points and passed on.

    Args:
        data: Folder that holds one folder per dataset name, or a `DataRoot`; None if only synthetic datasets and datasets with
            their own paths are used.
        store: Where results of stages are kept; by default `$CELLDA_STORE`, else the user's cache folder.
        progress: Whether to show progress and time estimates on standard error.
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
        """Context that shows progress bars if `progress` is on."""
        return bars.display(self.progress)
