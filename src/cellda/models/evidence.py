"""What is known of how good a model is: its labelled cells, each predicted by a model that has not learned from it.

Accuracy, confusion matrix, calibration, sets, abstention and corrected counts are computed from it, wherever they are shown.
It is stored with the model, together with what the labelled cells look like, so that the model can show the nearest of them.
It belongs to these weights, and is no part of what they compute.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Float, Int, UInt8
from pydantic import Field
from torch import Tensor

from cellda.errors import DataError
from cellda.evaluation.predictions import EVIDENCE, classes_of, read_predictions, write_predictions
from cellda.models.neighbours import similarities
from cellda.plugins.settings import Settings
from cellda.runtime.file_hash import sha256_of

EMBEDDINGS, LOOKS, KEPT = "evidence.embeddings", "evidence.looks", "evidence.kept"
"""Among the weights."""
MOST = 300
"""Most cells whose looks are stored."""
SIDE = 64
"""Side of a stored look, in pixels."""


class EvidenceFile(Settings):
    """What the description of a model says of its evidence.

    Attributes:
        sha256: Of the table.
        kept: Number of cells whose looks and embeddings are stored.
        folds: Number of parts that were left out in turn; 0 if the model has not learned from these cells at all.
        searched: Whether values of the adapter were chosen on the same cells, which makes the numbers a little optimistic.
    """

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    kept: int = Field(ge=1, le=MOST, strict=True)
    folds: int = Field(ge=0, le=1000, strict=True)
    searched: bool


@dataclass(frozen=True, eq=False)
class Evidence:
    """The labelled cells of a model.

    Attributes:
        cells: A prediction table, one row for each labelled cell.
        kept: `(M,)` the rows that are stored with looks.
        embeddings: `(M, D)` of these, by the model itself.
        looks: `(M, 3, 64, 64)` uint8, framed as the model sees them.
        folds: Number of parts that were left out in turn; 0 if the model has not learned from these cells at all.
        searched: Whether values of the adapter were chosen on the same cells.
    """

    cells: pd.DataFrame
    kept: Int[Tensor, " m"]
    embeddings: Float[Tensor, "m d"]
    looks: UInt8[Tensor, "m 3 s s"]
    folds: int
    searched: bool

    def __deepcopy__(self, memo: object) -> "Evidence":
        return self  # nothing changes it

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What is stored among the weights."""
        return {KEPT: self.kept, EMBEDDINGS: self.embeddings, LOOKS: self.looks}

    def nearest(
        self, embeddings: Float[Tensor, "b d"], number: int
    ) -> tuple[Int[Tensor, "b k"], Float[Tensor, "b k"]]:
        """The stored cells nearest to others by the cosine of their embeddings.

        Args:
            embeddings: Of the other cells, by the same model.
            number: How many; at most all stored ones.

        Returns:
            Rows of `cells`, the nearest first; and their cosines, in [-1, 1].
        """
        anchors = torch.nn.functional.normalize(self.embeddings, dim=1)
        cosines, near = similarities(embeddings, anchors).topk(min(number, len(anchors)), dim=1)
        return self.kept[near], cosines

    def write(self, folder: Path) -> EvidenceFile:
        """Write the table into the folder of the model."""
        table = write_predictions(self.cells, folder / EVIDENCE)
        return EvidenceFile(
            sha256=sha256_of(table), kept=len(self.kept), folds=self.folds, searched=self.searched
        )

    @classmethod
    def read(
        cls, folder: Path, described: EvidenceFile, tensors: dict[str, Tensor], classes: tuple[str, ...]
    ) -> "Evidence":
        """Read the table from the folder of the model.

        Args:
            folder: The folder.
            described: What the description says.
            tensors: The tensors of the weights, of which those of the evidence are taken.
            classes: Of the model.

        Raises:
            DataError: If the table is missing, damaged or another one.
        """
        kept, embeddings, looks = (tensors.pop(name) for name in (KEPT, EMBEDDINGS, LOOKS))
        file = folder / EVIDENCE
        if not file.is_file() or sha256_of(file) != described.sha256:
            raise DataError(
                f"{file} is missing or not the one that was saved with this model; copy the whole folder again."
            )
        cells = read_predictions(file)
        if classes_of(cells) != classes or not bool(((kept >= 0) & (kept < len(cells))).all()):
            raise DataError(f"{file} does not belong to this model; copy the whole folder again.")
        return cls(cells, kept, embeddings, looks, described.folds, described.searched)


def layout(described: EvidenceFile, width: int) -> dict[str, Tensor]:
    """The tensors of such evidence, without values (on the `meta` device).

    Args:
        described: What the description says.
        width: Length of an embedding.
    """
    return {
        KEPT: torch.empty(described.kept, dtype=torch.int64, device="meta"),
        EMBEDDINGS: torch.empty(described.kept, width, device="meta"),
        LOOKS: torch.empty(described.kept, 3, SIDE, SIDE, dtype=torch.uint8, device="meta"),
    }
