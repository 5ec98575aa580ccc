"""Datasets: loaders from published folder layouts to one typed table of cells.

`cellda.datasets.load("raabin", "~/wbc/raabin")` reads the folder itself; `load("synthetic/3")` needs none. A
new dataset is one file in this folder, named after the dataset (see `base.CellDataset`).
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lazy_loader

from cellda.datasets.reading.names import is_archive, is_table
from cellda.errors import UnknownNameError
from cellda.plugins.registry import Registry
from cellda.runtime.given import path_of
from cellda.taxonomies import DEFAULT, create

if TYPE_CHECKING:
    from cellda.datasets.base import CellDataset
else:  # listing names must not import pandas and torch
    __getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs={"base": ["CellDataset"]})

if TYPE_CHECKING:  # of a signature, and no part of this face
    from cellda.taxonomies.base import Taxonomy

WITHOUT_LAYOUT = dict.fromkeys(
    ("ruijin", "ruijing"),
    "There is no dataset 'ruijin': the Ruijin set (Sheng et al. 2020; the paper excludes it) has no published layout "
    "known here. Read your copy with 'folder' (one folder per class) or 'table' (a CSV of paths and labels).",
)
"""Datasets of the paper's Table A.1 that cannot be loaded by name, and what to do instead."""

registry: "Registry[CellDataset]" = Registry(
    "dataset", "cellda.datasets", "cellda.datasets.base:CellDataset", WITHOUT_LAYOUT
)
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary

__all__ = ["CellDataset", "get", "load", "names", "register", "registry", "summary"]


def unknown(name: str) -> UnknownNameError:
    """The error that no dataset has this name; a path is answered with how to name the dataset there."""
    base, given, place = name.partition("=")
    if given and base in registry:
        return UnknownNameError(
            f"'{name}' names a place, which only targets and labelled cells may; a source is given by its name alone: write "
            f"'{base}', make {place} the '{base}' in a data folder (move it there, or link it), and give that with data= or "
            "--data."
        )
    path = Path(name)
    if is_archive(path.name):
        return UnknownNameError(
            f"'{name}' is an archive, not the name of a dataset; unpack it, and write folder=<the folder>."
        )
    table = is_table(path.name)
    if table or name.startswith((".", "/", "~")) or path.is_absolute() or os.path.exists(path):  # noqa: PTH110 (a name of any length)
        kind = "table" if table else "folder"
        return UnknownNameError(f"'{name}' is a path, not the name of a dataset; write {kind}={name}.")
    return registry.unknown(name.partition("/")[0])


def load(
    name: str,
    root: str | Path | None = None,
    *,
    taxonomy: "str | Taxonomy" = DEFAULT,
    **options: Any,
) -> "CellDataset":
    """Load the dataset `name` from its folder.

    Args:
        name: A registered name, optionally with a variant after a slash (`"synthetic/3"`).
        root: The dataset's own folder (or file, for `table`); synthetic datasets need none.
        taxonomy: The classes of its cells, by name or built (`cellda.taxonomies`).
        options: The loader's own options.

    Raises:
        UnknownNameError: If no dataset or taxonomy has this name; the message suggests the nearest ones.
        ConfigurationError: If an option is unknown or mistyped.
        DataError: If the folder does not hold the published layout; the message lists all problems.
    """
    base, _, variant = name.partition("/")
    if base not in registry:
        raise unknown(name)
    given = {**options, "root": None if root is None else path_of(root)}
    if variant:
        given["variant"] = variant
    from cellda.datasets.reading.naming import Naming  # listing names must not import what reads labels

    with Naming(create(taxonomy) if isinstance(taxonomy, str) else taxonomy).used():
        return registry.create(base, **given)
