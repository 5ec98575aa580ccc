"""Logistic regression on embeddings."""

from typing import TYPE_CHECKING, ClassVar

from cellda.adapters import register
from cellda.adapters.base import AdaptContext
from cellda.adapters.families.embeddings import FeatureAdapter, Features
from cellda.plugins.settings import tunable

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from cellda.models.heads.base import Head
    from cellda.models.heads.linear import Linear


@register("logistic")
class Logistic(FeatureAdapter):
    """Fit a logistic regression on the standardised embeddings of the support (a linear probe).

    Minimises `C sum_i -log softmax(W x_i + b)_{y_i} + ||W||^2 / 2` with scikit-learn, where `x` is an embedding less the
    support's mean, over its standard deviation; of two classes only the second has a row in `W`. It takes the place of the
    source head. Classes without support are never predicted; with a single class, that one always is.

    Pedregosa et al.: Scikit-learn: machine learning in Python. JMLR 2011.
    """

    replaces_head: ClassVar[bool] = True

    C: float = tunable(1.0, low=1e-3, high=1e2, log=True, gt=0)

    def fit_head(self, head: "Head", features: Features, context: AdaptContext) -> "Head":
        """A `linear` head with the regression's weights."""
        del context
        import torch
        from sklearn.preprocessing import StandardScaler

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


def regression(
    inputs: "Float[Tensor, 'n k']", labels: "Int[Tensor, ' n']", C: float, *, width: int, classes: int
) -> "Linear":
    """A `linear` head that holds a logistic regression on the first `k` numbers of embeddings and ignores the rest.

    Args:
        inputs: `(N, k)`, `k` at most `width`.
        labels: `(N,)` class indices; classes that do not occur are never predicted.
        C: Weight of the likelihood against the penalty.
        width: Length of an embedding.
        classes: Number of classes.
    """
    import numpy as np
    import torch
    from sklearn.linear_model import LogisticRegression

    from cellda.models.heads.linear import Linear

    present = sorted(set(labels.tolist()))
    weights, biases = np.zeros((len(present), width)), np.zeros(len(present))
    if len(present) > 1:
        fitted = LogisticRegression(C=C, tol=1e-6, max_iter=1000).fit(inputs.numpy(), labels.numpy())
        # Of two classes, scikit-learn gives the weights of the second; the first has none.
        rows = len(fitted.coef_)
        weights[-rows:, : inputs.shape[1]], biases[-rows:] = fitted.coef_, fitted.intercept_
    found = Linear(width, classes)
    found.set_classes(present, torch.from_numpy(weights), torch.from_numpy(biases))
    return found
