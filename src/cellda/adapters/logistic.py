"""Logistic regression on embeddings."""

from typing import TYPE_CHECKING

from cellda.adapters import register
from cellda.adapters.base import AdaptContext
from cellda.adapters.features import FeatureAdapter, Features
from cellda.settings import tunable

if TYPE_CHECKING:
    from cellda.models.heads.base import Head


@register("logistic")
class Logistic(FeatureAdapter):
    """Fit a logistic regression on the standardised embeddings of the support (a linear probe).

    Minimises `C sum_i -log softmax(W x_i + b)_{y_i} + ||W||^2 / 2` with scikit-learn, where `x` is an embedding less the
    support's mean, over its standard deviation. It takes the place of the source head. Classes without support are never
    predicted; with a single class, that one always is.

    Pedregosa et al.: Scikit-learn: machine learning in Python. JMLR 2011.
    """

    C: float = tunable(1.0, low=1e-3, high=1e2, log=True, gt=0)

    def fit_head(self, head: "Head", features: Features, context: AdaptContext) -> "Head":
        """A `linear` head with the regression's weights."""
        del context
        import numpy as np
        import torch
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        from cellda.models.heads.linear import Linear

        found = Linear(features.support.shape[1], head.classes)
        classes = sorted(set(features.labels.tolist()))
        scaler = StandardScaler().fit(features.support.double().numpy())
        found.shift.copy_(torch.from_numpy(scaler.mean_))
        found.scale.copy_(torch.from_numpy(scaler.scale_))
        weights, biases = np.zeros((len(classes), head.width)), np.zeros(len(classes))
        if len(classes) > 1:
            inputs = scaler.transform(features.support.double().numpy())
            fitted = LogisticRegression(C=self.C, tol=1e-6, max_iter=1000).fit(
                inputs, features.labels.numpy()
            )
            # Of two classes, scikit-learn gives the weights of the second; the first has none.
            weights[-len(fitted.coef_) :], biases[-len(fitted.coef_) :] = fitted.coef_, fitted.intercept_
        found.set_classes(classes, torch.from_numpy(weights), torch.from_numpy(biases))
        return found
