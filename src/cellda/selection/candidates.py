"""The candidates of a search: an adapter with the values of a trial is adapted, and predicts."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TypeGuard

from jaxtyping import Float
from torch import Tensor

from cellda.adapters.base import AdaptContext, Adapter, TargetView, clean
from cellda.adapters.families.embeddings import FeatureAdapter
from cellda.data.image_set import ImageSet
from cellda.models.classifier import CellClassifier
from cellda.models.heads.present import as_before


class Candidates:
    """Adapts candidates of one adapter and predicts with them; what they share is computed once.

    Args:
        adapter: The adapter whose values vary.
        make_model: Creates a model to adapt, the same one every time.
        target: The support set, and the unlabelled pool if the adapter needs it.
        context: Trainer, seed and source images.
    """

    def __init__(
        self,
        adapter: Adapter,
        make_model: Callable[[], CellClassifier],
        target: TargetView,
        context: AdaptContext,
    ) -> None:
        self._target = target
        self._context = context
        self._make_model = make_model
        self._features: dict[int, tuple[ImageSet, Tensor]] = {}
        if on_features(adapter):
            self._untrained = clean(make_model())
            self._embedded = adapter.embedded(self._untrained, target.seen_by(adapter), context)
            if len(self._embedded.support):
                self._features[id(target.support)] = target.support, self._embedded.support

    def probabilities(
        self, candidate: Adapter, train: Sequence[int] | None, images: ImageSet, rows: Sequence[int]
    ) -> Float[Tensor, "n c"]:
        """Adapt the candidate and return its class probabilities for some images.

        Args:
            candidate: The adapter with the values of a trial.
            train: Positions of the support images to adapt to; None for all.
            images: An image set that is passed again for every candidate; if the method does not change the encoder, the set
                is embedded only once.
            rows: Positions in `images` of the images to predict.
        """
        trainer, support = self._context.trainer, self._target.support
        if on_features(candidate):
            part = self._embedded
            if train is not None and len(part.support):
                part = replace(part, support=part.support[list(train)], labels=part.labels[list(train)])
            before = self._untrained.head
            found = candidate.fit_head(deepcopy(before), part, self._context.knowing(self._untrained))
            head = as_before(found, before)
            return trainer.apply(head, self._embeddings(images)[list(rows)]).softmax(1)
        known = support if train is None else support.subset(train)
        model = candidate.apply(self._make_model(), replace(self._target, support=known), self._context)
        return trainer.probabilities(model, images.subset(rows))

    def _embeddings(self, images: ImageSet) -> Tensor:
        """Embeddings of a whole set; the set is stored with them, so that its id is not reused."""
        if id(images) not in self._features:
            self._features[id(images)] = images, self._context.trainer.embeddings(self._untrained, images)
        return self._features[id(images)][1]


def on_features(adapter: Adapter) -> TypeGuard[FeatureAdapter]:
    """Whether the method only fits the head on embeddings: a trial takes little longer than to read its task."""
    return isinstance(adapter, FeatureAdapter) and type(adapter).adapt is FeatureAdapter.adapt
