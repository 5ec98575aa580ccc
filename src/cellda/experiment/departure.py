"""How far an adaptation without labels moved away from its source model, and which of the two its cells speak for.

Nothing measured without labels says how many predictions are right. What can be said is whether two models give one class to
different cells, and which of them draws its boundaries where cells are few: under the cluster assumption (O. Chapelle, A.
Zien: Semi-supervised classification by low density separation, AISTATS 2005), cells that look alike are of one class.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import normalize

from cellda.adapters.base import Need, Start
from cellda.data.image_set import ImageSet
from cellda.experiment.run import Run
from cellda.models.classifier import CellClassifier
from cellda.models.neighbours import similarities
from cellda.text import counted
from cellda.training.loop import Trainer

FAR = 1 / 3
"""Share of the cells on which two models may disagree without a word."""
NEIGHBOURS = 10
FEW = 20
"""Fewer cells do not tell which of two models is right."""
MOST = 300
"""Most cells that are compared, spread evenly over all: the share is then known to 0.03 (standard error)."""
FILE = "departure.json"


class Departure(BaseModel):
    """Two models compared on the same cells, without labels.

    Attributes:
        cells: Number of cells that both predicted.
        differing: Number of cells to which they give different classes.
        coherence_before: Coherence of the source model's classes (`coherence`).
        coherence_after: Coherence of the adapted model's classes, among the same neighbours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: Annotated[int, Field(ge=1)]
    differing: Annotated[int, Field(ge=0)]
    coherence_before: float
    coherence_after: float

    @property
    def share(self) -> float:
        """Share of the cells to which the models give different classes, in [0, 1]."""
        return self.differing / self.cells

    def lines(self) -> list[str]:
        """What a user has to know of it; none if the models disagree on at most `FAR` of the cells."""
        if self.share <= FAR:
            return []
        numbers = f"source model {self.coherence_before:.2f}, adapted model {self.coherence_after:.2f}"
        if self.cells < FEW:
            verdict = "these cells are too few to tell which is right"
        elif self.coherence_after > max(self.coherence_before, 0):
            verdict = (
                f"look-alike cells share a class more often after the adaptation ({numbers}), which speaks for it but does "
                "not prove it"
            )
        else:
            verdict = f"look-alike cells do not share a class more often after the adaptation ({numbers}), so do not trust it"
        return [
            f"the adaptation used no labels and moved far from the source model: {self.differing:,} of "
            f"{counted(self.cells, 'compared cell(s)')} ({self.share:.0%}) have another class now; either model may be wrong",
            f"{verdict}; to know, label a few cells (twenty are enough to see which is right), or use the source model itself "
            "(adapter none)",
        ]

    def write(self, folder: Path) -> None:
        """Write it next to a model."""
        (folder / FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """What `write` wrote; None if nothing was compared."""
        file = folder / FILE
        return cls.model_validate(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


@dataclass(frozen=True, eq=False)
class Origin:
    """What the source model says of some of the cells that a run predicts.

    Attributes:
        rows: `(N,)` their positions among the predicted cells.
        images: The cells.
        embeddings: `(N, D)`.
        classes: `(N,)` predicted class indices.
    """

    rows: Int[Tensor, " n"]
    images: ImageSet
    embeddings: Float[Tensor, "n d"]
    classes: Int[Tensor, " n"]

    def left_by(self, probabilities: Float[Tensor, "n c"]) -> Departure:
        """The adapted model compared with it, from its probabilities for the same cells."""
        after, near = probabilities.argmax(1), nearest(self.embeddings)
        return Departure(
            cells=len(after),
            differing=int((after != self.classes).sum()),
            coherence_before=coherence(self.classes, near),
            coherence_after=coherence(after, near),
        )


def origin_of(run: Run, trainer: Trainer, model: CellClassifier) -> Origin | None:
    """What the unadapted model says of at most `MOST` cells of a run.

    None where there is nothing to compare: the adapter uses labels, leaves the model as it is, or does not start from a source
    model; or nothing is predicted.
    """
    adapter = run.recipe.adapter
    free = Need.LABELS not in adapter.needs and adapter.effects and adapter.start is Start.SOURCE
    if not free or not run.scored:
        return None
    rows = torch.linspace(0, len(run.scored) - 1, min(len(run.scored), MOST)).round().long()
    images = run.query(model.normalizer).subset(rows)
    embeddings = trainer.embeddings(model, images)
    return Origin(rows, images, embeddings, trainer.apply(model.head, embeddings).argmax(1))


def nearest(embeddings: Float[Tensor, "n d"]) -> Int[Tensor, "n k"]:
    """Indices of the `NEIGHBOURS` embeddings nearest to each by cosine, at most all others."""
    anchors = normalize(embeddings, dim=1)
    near = similarities(embeddings, anchors).fill_diagonal_(-torch.inf)
    return near.topk(min(NEIGHBOURS, len(anchors) - 1)).indices


def coherence(classes: Int[Tensor, " n"], near: Int[Tensor, "n k"]) -> float:
    """How much more often neighbours share a class than any two cells do: 1 always, 0 as often as by chance.

    `(a - e) / (1 - e)`, with the share `a` of pairs of neighbours that share a class, and `e = sum_k p_k^2` for class shares
    `p`: the assortativity of classes on the graph of neighbours (M. Newman: Mixing patterns in networks, Physical Review E
    67, 2003). A single class for all cells is no structure at all, and has 0.
    """
    shares = classes.bincount().double() / len(classes)
    chance = float(shares.square().sum())
    if not near.numel() or chance >= 1:
        return 0.0
    return (float((classes[near] == classes[:, None]).double().mean()) - chance) / (1 - chance)
