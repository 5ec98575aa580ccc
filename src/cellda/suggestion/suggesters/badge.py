"""Cells that would change the model, in different ways."""

from typing import Any

import numpy as np

from cellda.suggestion.suggesters import register
from cellda.suggestion.suggesters.base import Cells, Rows, Suggester, completed


@register("badge")
class Badge(Suggester):
    """Cells whose gradients are large and differ: doubtful ones that are not alike.

    A gradient is that of the last layer for the class that the current model predicts; k-means++ draws among them. Computed
    by scikit-activeml.

    Ash, Zhang, Krishnamurthy, Langford, Agarwal: Deep batch active learning by diverse, uncertain gradient lower bounds.
    ICLR 2020.
    """

    def chosen(self, cells: Cells, n: int, seed: int) -> Rows:
        """See `Suggester.chosen`."""
        from skactiveml import pool  # heavy
        from skactiveml.base import SkactivemlClassifier

        class Known(SkactivemlClassifier):  # type: ignore[misc]
            """Says what is known already: its inputs are embeddings followed by probabilities."""

            def fit(self, X: Any, y: Any) -> Any:
                raise NotImplementedError

            def predict_proba(self, X: Any, *, parted: bool) -> Any:
                del parted
                return X[:, -cells.classes :], X[:, : -cells.classes]

        both = np.concatenate([cells.units, cells.probabilities], axis=1)
        drawing = pool.Badge(clf_embedding_flag_name="parted", random_state=seed)
        found = drawing.query(both, cells.partial_labels, clf=Known(), fit_clf=False, batch_size=n)
        return completed(np.asarray(found), cells, n, seed)  # it draws some twice where gradients are equal
