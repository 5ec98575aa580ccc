"""Logistic regression on embeddings."""

from typing import ClassVar

import torch

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Effect
from cellda.adapters.families.embeddings import FeatureAdapter, Features, regression
from cellda.models.heads.base import Head
from cellda.plugins.settings import tunable


@register("logistic")
class Logistic(FeatureAdapter):
    """Fit a logistic regression on the standardised embeddings of the support (a linear probe).

    Minimises `C sum_i -log softmax(W x_i + b)_{y_i} + ||W||^2 / 2` with scikit-learn, where `x` is an embedding standardised
    by the support's mean and standard deviation; with two classes, only the second has a row in `W`. It replaces the source
    head. Classes without support are never predicted; a support with a single class always predicts that class.

    Pedregosa et al.: Scikit-learn: machine learning in Python. JMLR 2011.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.NEW_HEAD})

    C: float = tunable(1.0, low=1e-3, high=1e2, log=True, gt=0)

    def fit_head(self, head: Head, features: Features, context: AdaptContext) -> Head:
        """A `linear` head with the regression's weights."""
        del context
        from sklearn.preprocessing import StandardScaler  # heavy, and recipes import this module

        scaler = StandardScaler().fit(features.support.double().numpy())
        found = regression(
            torch.from_numpy(scaler.transform(features.support.double().numpy())),
            features.labels,
            self.C,
            width=head.width,
            classes=head.classes,
        )
        found.shift.copy_(torch.from_numpy(scaler.mean_))
        found.scale.copy_(torch.from_numpy(scaler.scale_))
        return found
