"""What a report shows, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from cellda.models.classifier import CellClassifier
from cellda.reporting.tables.text_table import TextTable

MOST = 1000
"""Most cells that are shown; numbers are computed from all."""
LABELLED, MEASURED, NEW = "labelled", "measured", "new"
"""Parts: cells that the model has learned from; cells with a known class that it has not; cells without a known class."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells that can be shown.

    Attributes:
        table: One row for each: `path, group, part, label` (empty if not known), `predicted` (empty without a class),
            `confidence`, `set`, `flag`.
        pixels: `(N, 3, S, S)` uint8, as the network sees them; None if there are no pictures.
        embeddings: `(N, D)`; None if there is no model.
    """

    table: pd.DataFrame
    pixels: UInt8[Tensor, "n 3 s s"] | None = None
    embeddings: Float[Tensor, "n d"] | None = None

    def at(self, rows: Sequence[int]) -> "Cells":
        """Some of them."""
        chosen = list(rows)
        return Cells(
            self.table.iloc[chosen].reset_index(drop=True),
            None if self.pixels is None else self.pixels[chosen],
            None if self.embeddings is None else self.embeddings[chosen],
        )

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True, eq=False)
class Example:
    """One cell, before and after what is done to an image.

    Attributes:
        name: Its path.
        steps: What was done -> the image `(H, W, 3)` uint8.
    """

    name: str
    steps: Mapping[str, UInt8[np.ndarray, "h w 3"]]


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that a report shows; what is empty is left out.

    Attributes:
        title: One line.
        headline: How good the model is, in sentences.
        doubts: What to know before trusting it, in sentences.
        facts: What was composed: name -> value.
        recipe: The recipe as YAML.
        predictions: The measured cells as a prediction table, from which numbers and curves are computed; None if no class is
            known.
        counts: Differential counts (`cellda.evaluation.counts.by_group`).
        corrected: Whether they are corrected for what the model confuses.
        cells: The cells that are shown.
        total: Number of cells in all.
        model: The model, for heat maps and nearest labelled cells; None if there is none.
        examples: A few cells before and after framing and normalization.
        tables: Further tables, such as a comparison of runs.
        account: What was found, used and left out of the files, in lines.
        missing: What the report lacks and why, in sentences.
    """

    title: str
    headline: Sequence[str]
    doubts: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    recipe: str = ""
    predictions: pd.DataFrame | None = None
    counts: pd.DataFrame | None = None
    corrected: bool = False
    cells: Cells | None = None
    total: int = 0
    model: CellClassifier | None = None
    examples: Sequence[Example] = ()
    tables: Sequence[TextTable] = ()
    account: Sequence[str] = ()
    missing: Sequence[str] = ()


def shown_rows(table: pd.DataFrame) -> list[int]:
    """Which rows of a table of cells are shown: all, or `MOST` of more.

    Half of these are the first to look at (wrong, flagged and unsure ones), the others are evenly spread.
    """
    if len(table) <= MOST:
        return list(range(len(table)))
    wrong = (table["label"] != "") & (table["label"] != table["predicted"])
    order = np.lexsort((table["confidence"].fillna(0), -(wrong | (table["flag"] != "")).astype(int)))
    first = set(order[: MOST // 2].tolist())
    rest = [row for row in range(len(table)) if row not in first]
    spread = torch.linspace(0, len(rest) - 1, MOST - len(first)).round().long().tolist()
    return sorted({*first, *(rest[place] for place in spread)})
