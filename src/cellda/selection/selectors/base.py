"""The base classes of selectors, and the evidence that they may use."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from cellda.errors import ConfigurationError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from cellda.adapters.base import Adapter
    from cellda.data.image_set import ImageSet
    from cellda.selection.candidates import Candidates


class Use(Enum):
    """Evidence that a selector may use."""

    SUPPORT_LABELS = "the support labels"
    """The labelled support images of the target, in folds."""
    HELD_OUT_SOURCE = "held-out source cells"
    """Labelled cells of every source that neither the source model nor the adapter was trained on."""
    POOL = "the unlabelled pool"
    """Images of the target without labels."""
    QUERY_LABELS = "the query labels"
    """The labels that results are measured with; only a study with `oracle=True` provides them."""


@dataclass(frozen=True)
class Evidence:
    """What a selector receives: the candidates, and exactly the evidence that it declares in `uses`.

    Attributes:
        candidates: Adapts candidates and predicts with them.
        sets: The declared evidence as images.
        folds: Cross-validation folds of the support set: training and held-out positions; empty unless
            `Use.SUPPORT_LABELS` is declared.
    """

    candidates: "Candidates"
    sets: "Mapping[Use, tuple[ImageSet, ...]]"
    folds: tuple[tuple[list[int], list[int]], ...] = ()

    @property
    def support(self) -> "ImageSet":
        """The labelled support images (`Use.SUPPORT_LABELS`)."""
        return self._declared(Use.SUPPORT_LABELS)[0]

    @property
    def held_out(self) -> "tuple[ImageSet, ...]":
        """Labelled held-out cells, one set per source (`Use.HELD_OUT_SOURCE`)."""
        return self._declared(Use.HELD_OUT_SOURCE)

    @property
    def pool(self) -> "ImageSet":
        """Images of the target without labels (`Use.POOL`)."""
        return self._declared(Use.POOL)[0]

    @property
    def truth(self) -> "ImageSet":
        """The query images with their labels (`Use.QUERY_LABELS`)."""
        return self._declared(Use.QUERY_LABELS)[0]

    def _declared(self, use: Use) -> "tuple[ImageSet, ...]":
        if use not in self.sets:
            raise ConfigurationError(
                f"A selector tried to use {use.value}, which it did not receive: it must declare Use.{use.name} in `uses`."
            )
        return self.sets[use]


class Selector(ABC):
    """Scores the candidates of a search.

    Attributes:
        uses: The evidence that it uses; it receives nothing else. With a selector that uses none, no search is made.
    """

    name: ClassVar[str]
    uses: ClassVar[frozenset[Use]]

    def rounds(self, evidence: Evidence) -> int:
        """Number of scores per candidate; a search may stop a candidate between rounds."""
        del evidence
        return 1

    @abstractmethod
    def scores(self, candidate: "Adapter", evidence: Evidence) -> Iterator[float]:
        """Adapt the candidate and yield its scores lazily, one per round; higher is better.

        Args:
            candidate: The adapter with the values of a trial.
            evidence: What the selector declared, the same for all candidates of a search.

        Raises:
            DivergedError: If the loss is no longer finite.
        """


def shannon(p: "Float[Tensor, '*n c']") -> "Float[Tensor, '*n']":
    """Shannon entropy over the last axis, in nats."""
    from torch import special  # selectors are listed without torch

    entropy: Tensor = special.entr(p).sum(-1)
    return entropy


class PoolSelector(Selector):
    """Scores the predictions of unlabelled target images; needs no target labels itself."""

    uses: ClassVar[frozenset[Use]] = frozenset({Use.POOL})

    @abstractmethod
    def measure(self, probabilities: "Float[Tensor, 'n c']") -> float:
        """A score from the class probabilities `(N, C)` of the pool; higher is better."""

    def scores(self, candidate: "Adapter", evidence: Evidence) -> Iterator[float]:
        """One score."""
        pool = evidence.pool
        yield self.measure(evidence.candidates.probabilities(candidate, None, pool, range(len(pool))))
