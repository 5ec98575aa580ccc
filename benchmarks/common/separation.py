"""How well laboratories and classes are separated: the numbers next to the maps of the paper's Figs. 8 to 10."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, silhouette_samples, silhouette_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.common.projection import COMPONENTS
from cellda.errors import ConfigurationError

FOLDS = 5

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DomainSeparation:
    """How well a cell's laboratory can be predicted.

    Attributes:
        accuracy: Cross-validated share of cells whose laboratory a classifier predicts correctly, each laboratory
            counting the same, in [0, 1].
        chance: The accuracy of guessing: one over the number of laboratories.
        silhouette: Mean silhouette by laboratory, in [-1, 1]; near 0 or below, they overlap.
    """

    accuracy: float
    chance: float
    silhouette: float


def domain_separation(
    features: Float[Array, "n d"], domains: Sequence[str], groups: Sequence[str], seed: int = 0
) -> DomainSeparation:
    """Logistic regression on 50 principal components, and the silhouette of the features themselves.

    Cells of one group (smear, photograph, patient) are never divided between training and testing
    (`StratifiedGroupKFold` with 5 folds): otherwise the classifier could recognise a laboratory by its smears.

    Args:
        features: `(N, D)`, such as flattened images or embeddings.
        domains: Laboratory of each cell.
        groups: Group of each cell; the same name in two laboratories means two groups.
        seed: Seed of folds and components.

    Raises:
        ConfigurationError: If there are fewer than two laboratories, or one has fewer than five groups.
    """
    laboratory = np.asarray(domains)
    group = np.array([f"{domain}\n{name}" for domain, name in zip(domains, groups, strict=True)])
    names = sorted(set(domains))
    few = [name for name in names if len(set(group[laboratory == name])) < FOLDS]
    if len(names) < 2 or few:
        raise ConfigurationError(
            f"A domain classifier needs two or more datasets with at least {FOLDS} groups of cells each; got "
            f"{', '.join(names) or 'none'}" + (f", and {', '.join(few)} with fewer." if few else ".")
        )
    folds = list(
        StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(features, laboratory, group)
    )
    smallest = min(len(train) for train, _ in folds)
    classifier = make_pipeline(
        PCA(min(COMPONENTS, smallest, features.shape[1]), random_state=seed),
        StandardScaler(),
        LogisticRegression(max_iter=2000),
    )
    said = cross_val_predict(classifier, features, laboratory, cv=folds)
    return DomainSeparation(
        accuracy=float(balanced_accuracy_score(laboratory, said)),
        chance=1 / len(names),
        silhouette=float(silhouette_score(features, laboratory)),
    )


def class_silhouettes(features: Float[Array, "n d"], labels: Sequence[str]) -> dict[str, float]:
    """Mean silhouette of each class, in [-1, 1], and `"mean"`, that of all cells (Rousseeuw 1987).

    Args:
        features: `(N, D)`.
        labels: Class of each cell.

    Raises:
        ConfigurationError: If there are fewer than two classes, or no class has two cells.
    """
    names, counts = np.unique(np.asarray(labels), return_counts=True)
    if len(names) < 2 or counts.max() < 2:
        raise ConfigurationError(
            f"A silhouette needs two or more classes and several cells; got {len(labels)} cells of "
            f"{', '.join(map(str, names)) or 'no class'}."
        )
    values = silhouette_samples(features, np.asarray(labels))
    each = {str(name): float(values[np.asarray(labels) == name].mean()) for name in names}
    return {"mean": float(values.mean()), **each}
