"""Predictions that agree with those of neighbouring images."""

from typing import ClassVar

import torch

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Effect, Need
from cellda.adapters.families.embeddings import Features
from cellda.adapters.families.pool import PooledFeatures
from cellda.models.heads.base import Head
from cellda.models.heads.lame import Lame
from cellda.plugins.settings import tunable

ITERATIONS = 100
TOLERANCE = 1e-5
BLOCK = 1024
SHARE = 6
"""At most one image of the pool in so many is a neighbour."""


@register("lame")
class LAME(PooledFeatures):
    """Make predictions on the pool agree with those of nearest neighbours (LAME, Boudiaf et al. 2022).

    Minimises `sum_i KL(z_i || p_i) - sum_ij w_ij z_i . z_j` over the assignments `z` of the pool, by iterating
    `z_ik` proportional to `p_ik exp(sum_j w_ij z_jk)`; `w_ij` is `strength` if `j` is one of the `neighbours` images nearest
    to `i` by cosine, else 0. Of a small pool, at most a sixth are neighbours: images that are all neighbours of each other end
    in one class. No weights change, and no class shares are assumed. A new image gets one more iteration with the final
    assignments; for a pool image, this gives its own assignment. M. Boudiaf, R. Mueller, I. Ben Ayed, L. Bertinetto:
    Parameter-free online test-time adaptation, CVPR 2022, which uses `strength = 1`, batch by batch.

    The resulting head stores the embeddings of the images used, at most `pool_images`.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.MEMORY})
    needs: ClassVar[frozenset[Need]] = frozenset({Need.UNLABELLED})

    neighbours: int = tunable(5, choices=(1, 3, 5, 10, 20), ge=1)
    strength: float = tunable(1.0, low=0.1, high=2.0, log=True, gt=0)

    def fit_head(self, head: Head, features: Features, context: AdaptContext) -> Head:
        """A `lame` head around `head`, with the final assignments of the pool."""
        pool = features.pool
        log = context.trainer.apply(head, pool).log_softmax(1)
        neighbours = max(1, min(self.neighbours, len(pool) // SHARE))
        found = Lame.around(head, pool, neighbours, self.strength)
        blocks = [found.nearest(block) for block in torch.split(pool, BLOCK)]
        graph = torch.cat([rows for rows, _ in blocks]), torch.cat([weights for _, weights in blocks])
        assignments = log.exp()
        for _ in range(ITERATIONS):
            found.assignments.copy_(assignments)
            assignments = (log + found.pull(graph)).softmax(1)
            if float((assignments - found.assignments).abs().max()) < TOLERANCE:
                break
        return found
