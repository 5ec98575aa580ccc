"""The folder that holds one folder per dataset."""

import warnings
from pathlib import Path
from typing import Any

from cellda.data.place import place
from cellda.datasets import load
from cellda.datasets.base import CellDataset
from cellda.runtime.given import path_of
from cellda.taxonomies.spec import PAPER, TaxonomySpec


class DataRoot:
    """Loads each dataset once, from the folder that holds one folder per registered name.

    Args:
        root: That folder; None if only synthetic datasets are used.
    """

    def __init__(self, root: str | Path | None) -> None:
        self.root = None if root is None else path_of(root)
        self._loaded: dict[str, CellDataset] = {}

    def load(self, name: str, taxonomy: TaxonomySpec = PAPER, **options: Any) -> CellDataset:
        """Load `name`, or `name=path` if it lies elsewhere.

        Args:
            name: A registered name (`"raabin"`, `"synthetic/3"`), or a name and a path (`"folder=~/my_cells"`).
            taxonomy: The classes of its cells.
            options: Options of the dataset's loader.

        Raises:
            ConfigurationError: If there is no folder for it.
            DataError: If the folder does not hold the dataset.
        """
        key = repr((name, taxonomy, sorted(options.items())))
        if key not in self._loaded:
            classes = taxonomy.build()
            self._loaded[key] = load(
                name.partition("=")[0], place(name, self.root), taxonomy=classes, **options
            )
        return self._loaded[key]

    def refresh(self, *others: str | CellDataset | None) -> None:
        """Take notice of files that have changed since datasets were loaded; called when runs are prepared.

        A dataset to which cells were added, or from which they were removed, is loaded again when it is next asked for.

        Args:
            others: Datasets that were loaded elsewhere, whose table stays as it is: if there are other cells now, it is said.
                Names are passed over.
        """
        for key, dataset in list(self._loaded.items()):
            if dataset.relisted():
                del self._loaded[key]
            else:
                dataset.refresh()
        for other in others:
            if not isinstance(other, CellDataset):
                continue
            if other.relisted():
                warnings.warn(
                    f"'{other.full_name}' holds other cells than when it was loaded; load it again to use them.",
                    stacklevel=3,
                )
            other.refresh()
