"""The surroundings of runs: data, store and progress display."""

import warnings
from collections import OrderedDict
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cellda.data.few_shot import Draw, draw_support
from cellda.data.root import DataRoot
from cellda.data.spec import FewShot, Protocol
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.account import Account
from cellda.runtime import progress as bars
from cellda.runtime.storage.store import Store, digest
from cellda.taxonomies.spec import PAPER, TaxonomySpec

DRAWS = 100
"""Number of draws that are kept in memory."""


class Workspace:
    """Data, store and progress display of runs; built once by the entry points and passed on.

    Args:
        data: Folder that holds one folder per dataset name, or a `DataRoot`; None if only synthetic datasets and datasets with
            their own paths are used.
        store: Where results of stages are kept, a folder or a URL (`s3://...`); by default `$CELLDA_STORE`, else the user's
            cache folder.
        progress: Whether to show progress, time estimates and what was left out on standard error.
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
        self._told: set[Account] = set()
        self._warned: set[str] = set()
        self._keys: dict[str, dict[str, Any]] = {}
        self._draws: OrderedDict[tuple[int, FewShot, Protocol], tuple[CellDataset, Draw]] = OrderedDict()

    def load(self, dataset: str | CellDataset, taxonomy: TaxonomySpec = PAPER, **options: Any) -> CellDataset:
        """A dataset by name with its loader's options, or one that is loaded, in the classes of a taxonomy.

        Raises:
            ConfigurationError: If there is no folder for it.
            DataError: If the folder does not hold the dataset.
        """
        if isinstance(dataset, str):
            return self.data.load(dataset, taxonomy, **options)
        classes = taxonomy.build()
        if classes.is_that_of(dataset.taxonomy):
            return dataset
        return dataset.under(replace(dataset.naming, taxonomy=classes))

    def draw(self, dataset: CellDataset, few_shot: FewShot, protocol: Protocol) -> Draw:
        """The support set and the query of a loaded target (`draw_support`); runs share them."""
        key = (id(dataset), few_shot, protocol)  # the dataset is kept, too, so that its id is not used again
        if key not in self._draws:
            drawn = draw_support(dataset, few_shot.n, few_shot.draw, protocol, few_shot.kind)
            self._draws[key] = dataset, drawn
        self._draws.move_to_end(key)
        if len(self._draws) > DRAWS:
            self._draws.popitem(last=False)
        return self._draws[key][1]

    def same(self, key: dict[str, Any]) -> dict[str, Any]:
        """One object for all equal keys: the runs of a study share that of their source model."""
        return self._keys.setdefault(digest(key), key)

    def tell(self, account: Account) -> None:
        """Print on standard error what was left out and assumed, once, if `progress` is on and there is anything to say."""
        if self.progress and account not in self._told:
            self._told.add(account)
            for line in account.lines():
                bars.note(line)

    def warn(self, line: str) -> None:
        """Warn of something that concerns many runs, once; an empty line says nothing."""
        if line and line not in self._warned:
            self._warned.add(line)
            warnings.warn(line, stacklevel=2)

    def display(self) -> AbstractContextManager[None]:
        """Context that shows progress bars if `progress` is on."""
        return bars.display(self.progress)
