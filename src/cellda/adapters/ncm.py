"""Nearest class mean."""

from typing import ClassVar

import torch
from pydantic import Field
from torch.nn import functional as F

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Effect
from cellda.adapters.families.embeddings import FeatureAdapter, Features
from cellda.models.heads.base import Head
from cellda.models.heads.linear import Linear


@register("ncm")
class Ncm(FeatureAdapter):
    """Predict the class with the nearest mean of centred, unit-length embeddings (SimpleShot, Wang et al. 2019).

    With `u = (z - m) / ||z - m||` and the mean `c_k` of the support's `u` of class `k`, the logit of a class is
    `-||u - c_k||^2 / (2 temperature)`, up to a constant shared by all classes: a `linear` head. The paper's `m` is the mean of
    its base classes; here it is the mean of the support's class means, so that frequent classes do not dominate.
    `temperature` changes probabilities but no prediction. Classes without support are never predicted.

    Wang, Chao, Weinberger and van der Maaten: SimpleShot: revisiting nearest-neighbor classification for few-shot learning.
    arXiv 1911.04623, 2019.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.NEW_HEAD})

    temperature: float = Field(default=0.1, gt=0)

    def fit_head(self, head: Head, features: Features, context: AdaptContext) -> Head:
        """A head that measures the distance to the mean of each class of the support."""
        del context
        found = Linear(features.support.shape[1], head.classes, unit=True)
        of_class = {label: features.labels == label for label in sorted(set(features.labels.tolist()))}
        centre = torch.stack([features.support[rows].mean(0) for rows in of_class.values()]).mean(0)
        found.shift.copy_(centre)
        units = F.normalize(features.support - centre, dim=1)
        means = torch.stack([units[rows].mean(0) for rows in of_class.values()])
        found.set_classes(
            list(of_class), means / self.temperature, -means.square().sum(1) / (2 * self.temperature)
        )
        return found
