"""Cells as a dataset of the library `datasets` (Hugging Face): lazily, or with a copy of all images."""

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cellda.errors import ConfigurationError, DataError
from cellda.text import plain

if TYPE_CHECKING:
    import datasets
    from cellda.datasets.exporting.torch_cells import TorchCells


def hf_cells(cells: "TorchCells", *, copy: bool) -> "datasets.Dataset":
    """The columns `image`, `label`, `path`, `group` and `row` of cells.

    Args:
        cells: The cells.
        copy: Whether the images are stored in the table, as PNG, instead of being decoded when they are asked for.

    Raises:
        ConfigurationError: If the package `datasets` is missing.
        DataError: If files cannot be decoded: with `copy` now, otherwise when they are asked for.
    """
    if find_spec("datasets") is None:
        raise ConfigurationError("to_hf needs the package datasets: pip install 'cellda[hf]'.")
    from datasets import ClassLabel, Dataset, Features, Image, Value

    features = Features(
        {
            "image": Image(),
            "label": ClassLabel(names=cells.classes),
            "path": Value("string"),
            "group": Value("string"),
            "row": Value("int64"),
        }
    )
    if copy:
        made: Dataset = Dataset.from_generator(
            _rows, features=features, gen_kwargs={"cells": cells}, fingerprint=_fingerprint(cells)
        )
        return made
    table = {
        "image": [None] * len(cells),
        "label": cells.targets,
        "path": _paths(cells),
        "group": [plain(group) for group in cells.groups],
        "row": list(range(len(cells))),
    }
    lazy: Dataset = Dataset.from_dict(table, features=features).with_transform(_Decoding(cells))
    return lazy


class _Decoding:
    """Fills the column `image` of the rows that are asked for.

    Raises:
        DataError: If they lack the column `row`, or a file cannot be decoded.
    """

    def __init__(self, cells: "TorchCells") -> None:
        self.cells = cells

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if "image" not in batch:
            return batch
        if "row" not in batch:
            raise DataError(
                "Images are decoded by the column 'row', which was removed; keep it as long as you read images."
            )
        return {**batch, "image": [self.cells.image(row) for row in batch["row"]]}


def _rows(cells: "TorchCells") -> Iterator[dict[str, Any]]:
    columns = zip(cells.targets, _paths(cells), cells.groups, strict=True)
    for row, (label, path, group) in enumerate(columns):
        yield {"image": cells.image(row), "label": label, "path": path, "group": plain(group), "row": row}


def _paths(cells: "TorchCells") -> list[str]:
    return [str(plain(path)) for path in cells.cells.table["path"]]


def _fingerprint(cells: "TorchCells") -> str:
    """What a copy depends on; without it, `datasets` would not notice that files have changed."""
    parts = (
        cells.cells.fingerprint,
        cells.cells.code,
        cells.cells.bits,
        cells.framing,
        cells.framing.code,
        cells.size,
    )
    return hashlib.sha256(repr((parts, cells.classes)).encode()).hexdigest()[:32]
