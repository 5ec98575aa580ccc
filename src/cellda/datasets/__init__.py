"""Datasets: loaders from published folder layouts to one typed table of cells.

`cellda.datasets.load("raabin", "~/wbc/raabin")` reads the folder itself; `load("synthetic/3")` needs none. A
new dataset is one file in this folder, named after the dataset (see `base.CellDataset`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellda.plugins.registry import Registry

if TYPE_CHECKING:
    from cellda.datasets.base import CellDataset

WITHOUT_LAYOUT = dict.fromkeys(
    ("ruijin", "ruijing"),
    "There is no dataset 'ruijin': the Ruijin set (Sheng et al. 2020; the paper excludes it) has no published layout "
    "known here. Read your copy with 'folder' (one folder per class) or 'table' (a CSV of paths and labels).",
)
"""Datasets of the paper's Table A.1 that cannot be loaded by name, and what to do instead."""

registry: "Registry[CellDataset]" = Registry("dataset", "cellda.datasets", WITHOUT_LAYOUT)
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary

__all__ = ["CellDataset", "get", "load", "names", "register", "registry", "summary"]


def load(name: str, root: str | Path | None = None, **options: Any) -> "CellDataset":
    """Load the dataset `name` from its folder.

    Args:
        name: A registered name, optionally with a variant after a slash (`"synthetic/3"`).
        root: The dataset's own folder (or file, for `table`); synthetic datasets need none.
        options: The loader's own options.

    Raises:
        UnknownNameError: If no dataset has this name.
        ConfigurationError: If an option is unknown or mistyped.
        DataError: If the folder does not hold the published layout; the message lists all problems.
    """
    from cellda.plugins.options import checked_options

    base, _, variant = name.partition("/")
    cls = registry.get(base)
    given = {**options, "root": None if root is None else Path(root).expanduser()}
    if variant:
        given["variant"] = variant
    return cls(**checked_options(cls, given, owner=f"dataset '{name}'"))


def __getattr__(name: str) -> Any:
    # The base class needs pandas and torch, which listing plug-ins must not import.
    if name == "CellDataset":
        from cellda.datasets.base import CellDataset

        return CellDataset
    raise AttributeError(f"module 'cellda.datasets' has no attribute {name!r}")
