"""How cells are gathered for a report."""

from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from cellda.evaluation.predictions import probabilities
from cellda.models.classifier import CellClassifier

RESEARCH = "These numbers hold for cells like these: same microscope, stain and camera."
"""What every headline ends in."""
BLOCK = 64
"""Cells that are embedded together."""


def table_of(found: pd.DataFrame, part: str, sets: Sequence[str] = ()) -> pd.DataFrame:
    """The table of `Cells` of a prediction table."""
    return pd.DataFrame(
        {
            "path": found["path"].astype(str),
            "group": found["group"].fillna("").astype(str),
            "part": part,
            "label": found["label"].astype(str),
            "predicted": found["predicted"].astype(str),
            "confidence": probabilities(found).max(1),
            "set": list(sets) if len(sets) else "",
            "flag": "",
        }
    ).reset_index(drop=True)


@torch.no_grad()
def embedded(model: CellClassifier, pixels: UInt8[Tensor, "n 3 s s"]) -> Float[Tensor, "n d"]:
    """Embeddings of raw cells in the network's size, on the CPU."""
    quick = model.for_inference()
    return torch.cat([quick.embedded(block).cpu() for block in torch.split(pixels, BLOCK)])
