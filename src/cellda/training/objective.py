"""What a training step minimises: cross-entropy, or what a method says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

UNLABELLED = -1
"""Class index of an image without label in a batch."""


@dataclass(frozen=True)
class Step:
    """What one step of training is about.

    Attributes:
        inputs: What `Examples.prepare` made of the batch, on the device; its first dimension is the batch's, or longer
            where further views of the images follow (`cellda.adapters.families.two_views`).
        labels: `(B,)` class indices, `UNLABELLED` where there is none.
        parts: Index of the set that each example comes from.
        progress: Share of all steps that are done, from 0 to below 1.
    """

    inputs: Float[Tensor, "n ..."]
    labels: Int[Tensor, " b"]
    parts: tuple[int, ...]
    progress: float

    def of(self, part: int) -> Int[Tensor, " m"]:
        """Positions in the batch, on the device, of the examples of one set."""
        chosen = [position for position, index in enumerate(self.parts) if index == part]
        return torch.tensor(chosen, dtype=torch.int64, device=self.labels.device)


class Objective(Protocol):
    """What the training loop minimises.

    Attributes:
        rate: Factor of the learning rate of the method's own parameters.
        rates: Factors of the learning rate of the module's parameters, by the beginning of their names; the longest that fits
            counts, and parameters that none fits have the factor 1.
    """

    rate: float
    rates: Mapping[str, float]

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """The scalar to be minimised, with gradients.

        Args:
            module: What is trained, in training mode. Where `CellClassifier` is trained this is one, so that `embed` and
                `head` can be called apart; it may be a copy around the same weights.
            step: The batch.
        """

    def parameters(self) -> Iterable[nn.Parameter]:
        """Parameters of the method's own (a discriminator's) that are trained along; they lie on the device already."""

    def after_step(self) -> None:
        """What is done after each step of the optimizer, for example moving a teacher."""


class CrossEntropy:
    """Cross-entropy with smoothed labels (Szegedy et al. 2016) over the labelled examples of the batch.

    Args:
        label_smoothing: Probability mass spread over all classes.
        rates: Factors of the learning rate, see `Objective`; by default all parameters learn alike.
    """

    rate = 1.0

    def __init__(self, label_smoothing: float = 0.0, rates: Mapping[str, float] | None = None) -> None:
        self.label_smoothing = label_smoothing
        self.rates: Mapping[str, float] = rates or {}

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """The mean over the labelled examples; an unlabelled one counts nothing."""
        return self.of(module(step.inputs), step.labels)

    def of(self, logits: Float[Tensor, "b c"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        """The same of logits that are computed already; at least one of the labels must be known."""
        return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing, ignore_index=UNLABELLED)

    def parameters(self) -> Iterable[nn.Parameter]:
        """None."""
        return ()

    def after_step(self) -> None:
        """Nothing."""
