"""What a training step minimises: cross-entropy, or the objective of a method."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from cellda.errors import ConfigurationError
from cellda.models.heads.base import ABSENT
from cellda.taxonomies.base import UNLABELLED, Taxonomy
from cellda.training.settings import SourceTraining


def cross_entropy(
    logits: Float[Tensor, "b c"], labels: Int[Tensor, " b"], label_smoothing: float
) -> Float[Tensor, ""]:
    """Mean cross-entropy of the labelled examples, at least one, with smoothed labels (Szegedy et al. 2016).

    Args:
        logits: `(B, classes)`.
        labels: `(B,)` class indices; `UNLABELLED` where there is none.
        label_smoothing: Probability mass spread over all classes that can occur (`cellda.models.heads.present`).
    """
    ruled_out = logits == ABSENT
    if not label_smoothing or not ruled_out.any():
        return F.cross_entropy(logits, labels, label_smoothing=label_smoothing, ignore_index=UNLABELLED)
    fit = F.cross_entropy(logits, labels, ignore_index=UNLABELLED)
    logs = logits.log_softmax(1).masked_fill(ruled_out, 0)
    spread = -(logs.sum(1) / (~ruled_out).sum(1))[labels != UNLABELLED].mean()
    return (1 - label_smoothing) * fit + label_smoothing * spread


@dataclass(frozen=True)
class Step:
    """The data of one training step.

    Attributes:
        inputs: The batch as prepared by `Examples.prepare`, on the device; its first dimension is the batch size, or larger
            if further views of the images follow (`cellda.adapters.families.two_views`).
        labels: `(B,)` class indices; `UNLABELLED` for unlabelled images.
        parts: Index of the set that each example comes from.
        progress: Fraction of all steps that are done, in [0, 1).
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
        rate: Learning-rate factor of the method's own parameters.
        rates: Learning-rate factors of the module's parameters, by name prefix; the longest matching prefix applies, and
            parameters without a match have the factor 1.
    """

    rate: float
    rates: Mapping[str, float]

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """The scalar to minimise, with gradients.

        Args:
            module: The module being trained, in training mode. If a `CellClassifier` is trained, it is one, so that `embed`
                and `head` can be called separately; it may be a copy that shares the weights.
            step: The batch.
        """

    def parameters(self) -> Iterable[nn.Parameter]:
        """Parameters of the method itself (such as a discriminator's) that are also trained, already on the device."""

    def after_step(self) -> None:
        """Called after each optimizer step, for example to update a teacher."""


class CrossEntropy:
    """Cross-entropy with smoothed labels (Szegedy et al. 2016) over the labelled examples of the batch.

    Args:
        label_smoothing: Probability mass spread over all classes that can occur.
        rates: Learning-rate factors, see `Objective`; by default all parameters have the same learning rate.
    """

    rate = 1.0

    def __init__(self, label_smoothing: float = 0.0, rates: Mapping[str, float] | None = None) -> None:
        self.label_smoothing = label_smoothing
        self.rates: Mapping[str, float] = rates or {}

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """The mean over the labelled examples; unlabelled ones are ignored."""
        return self.of(module(step.inputs), step.labels)

    def of(self, logits: Float[Tensor, "b c"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        """The same for logits that are already computed; at least one of the labels must be known."""
        return cross_entropy(logits, labels, self.label_smoothing)

    def parameters(self) -> Iterable[nn.Parameter]:
        """None."""
        return ()

    def after_step(self) -> None:
        """Nothing."""


class OverTree(CrossEntropy):
    """Cross-entropy in which an image may be labelled more coarsely than the classes, and compared among some of them only.

    An image that is only known to be a neutrophil teaches that it is a band or a segmented one: `-log sum_{k in K} p_k` over
    the classes `K` that are kinds of its type, the marginal likelihood of the label. Of an image whose class is known this
    is the usual loss. Where sources hold different classes, the look of a source tells much about the class, and plain
    cross-entropy learns it: an image that looks like a source of two classes becomes one of the two. With `held`, a source
    says nothing about classes that it does not hold, so only what separates the classes within a source is learned.

    Args:
        kinds: `(labels, classes)` true where a label may be a class: each class itself, then the coarser types.
        held: `(sources, classes)` true where a source holds a class; None compares all images among all classes.
        label_smoothing: Probability mass spread over the classes that an image is compared among.
    """

    def __init__(
        self, kinds: Bool[Tensor, "l c"], held: Bool[Tensor, "s c"] | None, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(label_smoothing)
        self.kinds = kinds
        self.held = held

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """The mean over the examples, which all have labels."""
        logits: Tensor = module(step.inputs)
        if self.held is not None:
            logits = logits.masked_fill(~self.held.to(logits.device)[list(step.parts)], ABSENT)
        if (step.labels < logits.shape[1]).all():
            return self.of(logits, step.labels)
        logs = logits.log_softmax(1)
        fit = -logs.masked_fill(~self.kinds.to(logits.device)[step.labels], -torch.inf).logsumexp(1).mean()
        compared = logits != ABSENT
        spread = -(logs.masked_fill(~compared, 0).sum(1) / compared.sum(1)).mean()
        return (1 - self.label_smoothing) * fit + self.label_smoothing * spread


def objective_of(
    settings: SourceTraining, labels: Sequence[Int[Tensor, " n"]], names: Sequence[str], taxonomy: Taxonomy
) -> CrossEntropy:
    """What source training minimises.

    Args:
        settings: Says how labels are smoothed and among which classes images are compared.
        labels: Class indices of the training images of each source; those of coarser types follow (`CellDataset.with_coarse`).
        names: Names of the sources, for messages.
        taxonomy: The classes.

    Raises:
        ConfigurationError: If a source holds a single class, so that nothing in it could be compared.
    """
    kinds = torch.eye(len(taxonomy.classes), dtype=torch.bool)
    for own in taxonomy.members.values():
        row = torch.zeros(1, len(kinds[0]), dtype=torch.bool)
        row[0, list(own)] = True
        kinds = torch.cat([kinds, row])
    if settings.compared == "all":
        coarse = any(bool((own >= len(taxonomy.classes)).any()) for own in labels)
        return (
            OverTree(kinds, None, settings.label_smoothing)
            if coarse
            else CrossEntropy(settings.label_smoothing)
        )
    held = torch.stack([kinds[own].any(0) for own in labels])
    if single := [name for name, own in zip(names, held, strict=True) if own.sum() < 2]:
        raise ConfigurationError(
            f"With training.compared='own', a source needs at least two classes, and {', '.join(single)} has one: "
            "leave it out, or set training.compared='all'."
        )
    return OverTree(kinds, held, settings.label_smoothing)
