"""Alignment of distributions by their means in a kernel space."""

import torch
from jaxtyping import Float
from torch import Tensor

from cellda.adapters import register
from cellda.adapters.families.aligning import Aligning
from cellda.plugins.settings import tunable

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Bandwidths of the Gaussian kernels, as factors of the mean squared distance between two embeddings."""


def mmd(source: Float[Tensor, "n d"], target: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
    """Squared maximum mean discrepancy, unbiased (Gretton et al. 2012, Lemma 6), so it can be slightly below 0.

    `mean_{i != j} k(s_i, s_j) + mean_{i != j} k(t_i, t_j) - 2 mean k(s_i, t_j)`, with `k` the mean of the Gaussian kernels
    `exp(-|x - y|^2 / (b w))`, and `w` the mean squared distance over all pairs of embeddings, without gradient. Each side
    needs at least two rows.
    """
    both = torch.cat([source, target])
    distances = (both[:, None] - both).square().sum(2)
    number, first = len(both), len(source)
    width = distances.detach().sum() / (number * (number - 1))
    kernel = torch.stack([(-distances / (factor * width)).exp() for factor in BANDWIDTHS]).mean(0)
    kernel = kernel - torch.diag(kernel.diagonal())
    within = [
        block.sum() / (len(block) * (len(block) - 1))
        for block in (kernel[:first, :first], kernel[first:, first:])
    ]
    return within[0] + within[1] - 2 * kernel[:first, first:].mean()


@register("mmd")
class Mmd(Aligning):
    """Fine-tune with source images, aligning source and target embeddings by multi-kernel MMD (Long et al. 2015).

    `L = CE(support, source) + weight r(t) MMD^2(S, T)`, see `mmd`, over the source and target embeddings in a batch
    (standardised, and only classes with support: see `Alignment`). `r` rises from 0 to 1 as in `dann`. The paper aligns
    several layers after a frozen stem; here only the embedding, the head's input, is aligned.
    """

    distance = staticmethod(mmd)
    weight: float = tunable(1.0, low=0.1, high=10.0, log=True, ge=0)
