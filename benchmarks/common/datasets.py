"""The datasets that a script works on: named ones, those in a folder, or synthetic ones."""

from collections.abc import Sequence
from pathlib import Path

import cellda.datasets
from cellda.data.root import DataRoot
from cellda.datasets.base import CellDataset
from cellda.datasets.card import card
from cellda.errors import ConfigurationError

SYNTHETIC = ("synthetic/0", "synthetic/1", "synthetic/3", "synthetic/6", "synthetic/7", "synthetic/9")
"""Used if no folder is given: laboratories whose difference is easy to see."""


def datasets_of(
    data: Path | None, names: Sequence[str] | None = None, without: Sequence[str] = ()
) -> list[CellDataset]:
    """The named datasets, or else all in the folder, or else synthetic ones.

    Args:
        data: Folder that holds one folder per dataset name.
        names: Names of datasets; each must exist.
        without: Names to leave out of the datasets found, such as those of the sources.

    Raises:
        ConfigurationError: If none is named and none is found.
    """
    root = DataRoot(data)
    return [root.load(name) for name in (names_of(data, without) if names is None else names)]


def names_of(data: Path | None, without: Sequence[str] = ()) -> list[str]:
    """Names of all datasets in the folder, or else of synthetic ones.

    Args:
        data: Folder that holds one folder per dataset name.
        without: Names to leave out, together with datasets that show the same cells in other files.

    Raises:
        ConfigurationError: If none is found.
    """
    if data is None:
        return [name for name in SYNTHETIC if name not in without]
    folder = data.expanduser()
    if not folder.is_dir():
        raise ConfigurationError(
            f"There is no folder {folder}; --data must name a folder that holds one folder per dataset."
        )
    cards = {name: card(name) for name in cellda.datasets.names()}
    left_out = [cards[name.partition("/")[0]] for name in without]
    names = [
        name
        for name, one in cards.items()
        if name not in without
        and not any(one.shares_cells_with(other) for other in left_out)
        and (folder / name).is_dir()
    ]
    if not names:
        held = [name for name in without if (folder / name.partition("/")[0]).is_dir()]
        raise ConfigurationError(
            f"There is no dataset in {folder}"
            + (f" besides {', '.join(held)}" if held else "")
            + f": it needs a folder named after one of {', '.join(cards)}."
        )
    return names


def title_of(dataset: CellDataset) -> str:
    """The name of a dataset in figures: its printed name, or that of a synthetic laboratory."""
    return dataset.full_name if dataset.synthetic or not dataset.title else dataset.title
