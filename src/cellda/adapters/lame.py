"""Predictions that agree with those of near images."""

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


@register("lame")
class LAME(PooledFeatures):
    """Lets the images of the pool agree with their nearest neighbours (LAME, Boudiaf et al. 2022).

    Minimises `sum_i KL(z_i || p_i) - sum_ij w_ij z_i . z_j` over the assignments `z` of the pool, by iterating
    `z_ik` proportional to `p_ik exp(sum_j w_ij z_jk)`; `w_ij` is `strength` if `j` is one of the `neighbours` images nearest
    to `i` by cosine, else 0. No weight changes and the shares of the classes are not assumed. A new image is given one more
    step of the same equation with the assignments found, which for an image of the pool is its own. M. Boudiaf, R. Mueller, I.
    Ben Ayed, L. Bertinetto: Parameter-free online test-time adaptation, CVPR 2022, there with `strength = 1`, batch by batch.

    The head that results stores the embeddings of the images used, at most `pool_images`.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.MEMORY})
    needs: ClassVar[frozenset[Need]] = frozenset({Need.UNLABELLED})

    neighbours: int = tunable(5, choices=(1, 3, 5, 10), ge=1)
    strength: float = tunable(1.0, low=0.1, high=2.0, log=True, gt=0)

    def fit_head(self, head: Head, features: Features, context: AdaptContext) -> Head:
        """A `lame` head around `head`, with the pool as assigned at the end."""
        pool = features.pool
        log = context.trainer.apply(head, pool).log_softmax(1)
        found = Lame.around(head, pool, self.neighbours, self.strength)
        blocks = [found.nearest(block) for block in torch.split(pool, BLOCK)]
        graph = torch.cat([rows for rows, _ in blocks]), torch.cat([weights for _, weights in blocks])
        assignments = log.exp()
        for _ in range(ITERATIONS):
            found.assignments.copy_(assignments)
            assignments = (log + found.pull(graph)).softmax(1)
            if float((assignments - found.assignments).abs().max()) < TOLERANCE:
                break
        return found
