"""Selectors: by what the values of an adapter are chosen, without a look at query labels.

What a selector is given is all it can use: the support, the unlabelled pool, held-out source cells. The one that uses
query labels, to know how far the others are from the best, lies apart (`cellda.selection.oracle`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cellda.adapters.base import Adapter
from cellda.data.image_set import ImageSet
from cellda.selection.candidates import Candidates
from cellda.selection.folds import balanced_accuracy, support_folds

TEMPERATURE = 0.05
"""Of the soft neighbourhoods (Saito et al. 2021)."""

_CHUNK = 512
"""Rows of the similarity matrix that are in memory at once."""


class Selector(ABC):
    """Judges the candidates of a search.

    Attributes:
        rounds: Number of scores it gives a candidate; between rounds, a search may give the candidate up.
    """

    rounds: int = 1

    @abstractmethod
    def scores(self, candidate: Adapter) -> Iterator[float]:
        """Adapt the candidate and give its scores, one a round, when they are asked for; more is better.

        Raises:
            DivergedError: If its loss is no longer finite.
        """


class SupportCV(Selector):
    """Balanced accuracy by cross-validation inside the support set: the paper's step. Uses the support labels.

    Args:
        candidates: What is judged.
        folds: Number of folds.

    Raises:
        ConfigurationError: If the support set cannot be split into folds.
    """

    def __init__(self, candidates: Candidates, folds: int) -> None:
        self._candidates = candidates
        self._support = candidates.target.support
        labels = self._support.labels.numpy()
        self._folds = support_folds(labels, self._support.groups, folds, candidates.context.seed)
        self.rounds = len(self._folds)

    def scores(self, candidate: Adapter) -> Iterator[float]:
        """Score fold by fold."""
        labels = self._support.labels
        for train, held in self._folds:
            found = self._candidates.probabilities(candidate, train, self._support, held).argmax(1)
            yield balanced_accuracy(labels[held].numpy(), found.numpy())


class SourceVal(Selector):
    """Accuracy on held-out source cells after adaptation, the mean over sources. Uses no target label of its own.

    Args:
        candidates: What is judged; their context must not hold the held-out cells.
        held_out: Labelled cells of every source that the source model was not trained on.
    """

    def __init__(self, candidates: Candidates, held_out: Sequence[ImageSet]) -> None:
        self._candidates = candidates
        self._held_out = held_out

    def scores(self, candidate: Adapter) -> Iterator[float]:
        """One score."""
        right = []
        for images in self._held_out:
            found = self._candidates.probabilities(candidate, None, images, range(len(images))).argmax(1)
            right.append(float((found == images.labels).double().mean()))
        yield float(np.mean(right))


class OnPool(Selector):
    """A measure of the predictions of unlabelled target images. Uses no target label of its own.

    Args:
        candidates: What is judged.
        pool: Images of the target.
        measure: From class probabilities `(N, C)` to a score; more is better.
    """

    def __init__(
        self, candidates: Candidates, pool: ImageSet, measure: Callable[[Float[Tensor, "n c"]], float]
    ) -> None:
        self._candidates = candidates
        self._pool = pool
        self._measure = measure

    def scores(self, candidate: Adapter) -> Iterator[float]:
        """One score."""
        pool = self._pool
        yield self._measure(self._candidates.probabilities(candidate, None, pool, range(len(pool))))


def certainty(probabilities: Float[Tensor, "n c"]) -> float:
    """The negative mean entropy of predictions, in [-log C, 0] nats (Morerio et al. 2018)."""
    return -float(_entropy(probabilities.double()).mean())


def mutual_information(probabilities: Float[Tensor, "n c"]) -> float:
    """Entropy of the mean prediction minus mean entropy of the predictions, in [0, log C] nats.

    High where single predictions are certain and all classes are predicted (Bridle et al. 1991; Shi & Sha 2012).
    """
    p = probabilities.double()
    return float(_entropy(p.mean(0)) - _entropy(p).mean())


def soft_neighbourhood_density(probabilities: Float[Tensor, "n c"]) -> float:
    """How densely predictions lie around each other, in [0, log(N - 1)] nats (Saito et al. 2021).

    With predictions `f` scaled to length 1, the neighbourhood of image i is `P_ij = softmax_j(f_i f_j / 0.05)` over all other
    images j; the density is the mean entropy of `P_i`. It is high where every image has many others that are predicted
    alike. One image has none: 0.
    """
    count = len(probabilities)
    if count < 2:
        return 0.0
    f = torch.nn.functional.normalize(probabilities.double(), dim=1)
    total = 0.0
    for start in range(0, count, _CHUNK):
        similar = f[start : start + _CHUNK] @ f.T / TEMPERATURE
        itself = torch.arange(len(similar))
        similar[itself, start + itself] = -torch.inf
        total += float(_entropy(similar.softmax(1)).sum())
    return total / count


def _entropy(p: Tensor) -> Tensor:
    """Shannon entropy over the last axis, in nats."""
    entropy: Tensor = torch.special.entr(p).sum(-1)
    return entropy


POOL_MEASURES: Mapping[str, Callable[[Tensor], float]] = {
    "entropy": certainty,
    "info_max": mutual_information,
    "snd": soft_neighbourhood_density,
}
"""Selectors that look at unlabelled target images alone: name -> what they measure."""
