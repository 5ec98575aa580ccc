"""Points in many dimensions, shown in two."""

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from cellda.errors import ConfigurationError

COMPONENTS = 50
"""Principal components that t-SNE and the domain classifier work on, as van der Maaten & Hinton (2008) advise."""

PERPLEXITY = 30.0
LEAST = 5
"""Points that a map needs."""

Array = npt.NDArray[np.float32]


def tsne(features: Float[Array, "n d"], seed: int = 0) -> Float[Array, "n 2"]:
    """t-SNE of the first 50 principal components (paper, Figs. 8 to 11; van der Maaten & Hinton 2008).

    Distances between far clusters and the sizes of clusters mean nothing in such a map.

    Args:
        features: `(N, D)`, such as flattened images or embeddings.
        seed: Seed of t-SNE.

    Raises:
        ConfigurationError: If there are fewer than 5 points.
    """
    if len(features) < LEAST:
        raise ConfigurationError(f"A t-SNE map needs at least {LEAST} cells; there are {len(features)}.")
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    reduced = PCA(min(COMPONENTS, *features.shape), random_state=seed).fit_transform(features)
    found: Array = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return found
