"""What a selector is, and all it may judge by."""

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
    """Evidence that a selector may judge by."""

    SUPPORT_LABELS = "the support labels"
    """The labelled support images of the target, in folds."""
    HELD_OUT_SOURCE = "held-out source cells"
    """Labelled cells of every source that neither the source model nor the adapter was trained on."""
    POOL = "the unlabelled pool"
    """Images of the target without labels."""
    QUERY_LABELS = "the query labels"
    """The labels that results are measured with; only a study that asks for upper bounds hands them over."""


@dataclass(frozen=True)
class Evidence:
    """What a selector receives: the candidates, and exactly the evidence that it declares in `uses`.

    Attributes:
        candidates: Adapts candidates and predicts with them.
        sets: The declared evidence as images.
        folds: Cross-validation folds of the support: positions to train on, and to hold out; empty unless
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
        """Labelled held-out cells, one set a source (`Use.HELD_OUT_SOURCE`)."""
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
                f"A selector asked for {use.value}, which it was not given: it must declare Use.{use.name} in `uses`."
            )
        return self.sets[use]


class Selector(ABC):
    """Judges the candidates of a search.

    Attributes:
        uses: The evidence it judges by; it receives nothing else. A selector that uses none makes no search.
    """

    name: ClassVar[str]
    uses: ClassVar[frozenset[Use]]

    def rounds(self, evidence: Evidence) -> int:
        """Number of scores it gives a candidate; between rounds, a search may give the candidate up."""
        del evidence
        return 1

    @abstractmethod
    def scores(self, candidate: "Adapter", evidence: Evidence) -> Iterator[float]:
        """Adapt the candidate and yield its scores, one a round, when they are asked for; more is better.

        Args:
            candidate: The adapter with the values of a trial.
            evidence: What the selector declared, the same for all candidates of a search.

        Raises:
            DivergedError: If its loss is no longer finite.
        """


class PoolSelector(Selector):
    """Judges by a measure of the predictions of unlabelled target images; uses no target label of its own."""

    uses: ClassVar[frozenset[Use]] = frozenset({Use.POOL})

    @abstractmethod
    def measure(self, probabilities: "Float[Tensor, 'n c']") -> float:
        """A score from the class probabilities `(N, C)` of the pool; more is better."""

    def scores(self, candidate: "Adapter", evidence: Evidence) -> Iterator[float]:
        """One score."""
        pool = evidence.pool
        yield self.measure(evidence.candidates.probabilities(candidate, None, pool, range(len(pool))))
