"""Labels propagated from the support to the pool."""

from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Effect, Need
from cellda.adapters.families.embeddings import Features
from cellda.adapters.families.pool import PooledFeatures
from cellda.models.heads.base import Head
from cellda.models.heads.label_propagation import LabelPropagation as Spread
from cellda.models.neighbours import similarities
from cellda.plugins.settings import tunable

BLOCK = 1024


@register("label_propagation")
class LabelPropagation(PooledFeatures):
    """Propagate the support's labels along the nearest neighbours of support and pool (Zhou et al. 2004).

    `F = (1 - alpha) (I - alpha S)^-1 Y`, `S = D^-1/2 W D^-1/2`, by conjugate gradients: `Y` has a 1 for the class of each
    labelled image, `W = A + A'`, `a_ij = max(0, cos(z_i, z_j)) ** gamma` for the `neighbours` images `j` nearest to `i`, and
    `D` holds the row sums of `W`. D. Zhou et al.: Learning with local and global consistency, NIPS 2004; graph and solver
    as in A. Iscen, G. Tolias, Y. Avrithis, O. Chum: Label propagation for deep semi-supervised learning, CVPR 2019.

    A new image gets the solution of the same equation with `F` fixed for all other images; for a pool image, this is its own
    row of `F`. The model's head is not used, so a class without support is never predicted. The result stores the
    embeddings of support and pool (at most `pool_images` of a large pool).
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.NEW_HEAD, Effect.MEMORY})
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.UNLABELLED})

    neighbours: int = tunable(10, choices=(5, 10, 20, 50), ge=1)
    alpha: float = tunable(0.99, choices=(0.5, 0.8, 0.9, 0.99), gt=0, lt=1)
    gamma: float = tunable(3.0, low=1.0, high=6.0, gt=0)

    def fit_head(self, head: Head, features: Features, context: AdaptContext) -> Head:
        """A `label_propagation` head that holds the propagated labels."""
        del context
        images = normalize(torch.cat([features.support, features.pool]), dim=1)
        found = Spread(
            head.width, head.classes, anchors=len(images), neighbours=self.neighbours, gamma=self.gamma
        )
        found.anchors.copy_(images)
        blocks = torch.split(images, BLOCK)
        found.radius.copy_(torch.cat([found.near(similarities(block, images)) for block in blocks])[:, 0])
        graph = _sparse([found.weights(block) for block in blocks])
        labels = np.zeros((len(images), head.classes))
        labels[: len(features.labels)] = one_hot(features.labels, head.classes).numpy()
        scale, spread = propagate(graph, labels, self.alpha)
        found.votes.copy_(torch.from_numpy(scale[:, None] * spread))
        return found


def propagate(graph: csr_array, labels: np.ndarray, alpha: float) -> "tuple[np.ndarray, np.ndarray]":
    """`D^-1/2` as `(N,)` and `F` as `(N, classes)`, from a symmetric graph `(N, N)` and labels `Y` `(N, classes)`."""
    from scipy.sparse import diags_array, eye_array  # heavy, and recipes import this module
    from scipy.sparse.linalg import cg

    degree = graph.sum(axis=1)
    scale = np.divide(1, np.sqrt(degree), out=np.zeros(len(degree)), where=degree > 0)
    system = eye_array(len(degree)) - alpha * (diags_array(scale) @ graph @ diags_array(scale))
    columns = [cg(system, (1 - alpha) * column, rtol=1e-8)[0] for column in labels.T]
    return scale, np.stack(columns, axis=1).clip(0)


def _sparse(blocks: list[Tensor]) -> csr_array:
    """Rows of a graph, made exactly symmetric."""
    from scipy.sparse import csr_array, vstack

    graph = csr_array(vstack([csr_array(block.double().numpy()) for block in blocks]))
    return csr_array((graph + graph.T) / 2)
