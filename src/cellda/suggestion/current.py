"""The current model: what the source model and the labels that there are say of all cells."""

import numpy as np
from jaxtyping import Float, Int

from cellda.suggestion.suggesters.base import Cells


def regressed(
    embeddings: Float[np.ndarray, "n d"],
    labelled: Float[np.ndarray, "m d"],
    labels: Int[np.ndarray, " m"],
    classes: int,
) -> Float[np.ndarray, "n k"]:
    """Probabilities of cells by a logistic regression on the standardised embeddings of labelled ones.

    It is that of the adapter `logistic`, with its declared `C`. Classes without a label get 0.

    Args:
        embeddings: `(N, D)` of the cells.
        labelled: `(M, D)` of the labelled cells.
        labels: `(M,)` their classes, in [0, `classes`).
        classes: Number of classes.
    """
    from sklearn.linear_model import LogisticRegression  # heavy
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found = np.zeros((len(embeddings), classes))
    present = np.unique(labels)
    if len(present) == 1:
        found[:, present[0]] = 1
    else:
        fitted = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-6, max_iter=1000))
        fitted.fit(labelled.astype(np.float64), labels)
        found[:, present] = fitted.predict_proba(embeddings.astype(np.float64))
    return found


def known_cells(
    embeddings: Float[np.ndarray, "n d"],
    source: Float[np.ndarray, "n k"],
    rows: Int[np.ndarray, " m"],
    labels: Int[np.ndarray, " m"],
) -> Cells:
    """The cells as a suggester receives them.

    The current model is the mean of the source model and of a logistic regression on the labelled cells: the one knows the
    laboratory, the other knows classes that have no label yet. Without labels it is the source model.

    Args:
        embeddings: `(N, D)` of all cells.
        source: `(N, K)` probabilities of the source model.
        rows: `(M,)` rows of the labelled cells.
        labels: `(M,)` their classes.
    """
    probabilities = source.astype(np.float64)
    if len(rows):
        probabilities = (probabilities + regressed(embeddings, embeddings[rows], labels, source.shape[1])) / 2
    return Cells(embeddings, probabilities, rows, labels)
