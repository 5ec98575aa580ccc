"""Alignment of covariances."""

from jaxtyping import Float
from torch import Tensor

from cellda.adapters import register
from cellda.adapters.families.aligning import Aligning
from cellda.plugins.settings import tunable


def coral(source: Float[Tensor, "n d"], target: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
    """Squared Frobenius distance between the covariance matrices, divided by `4 d^2`; each side needs at least two rows."""
    apart = source.T.cov() - target.T.cov()
    return apart.square().sum() / (4 * source.shape[1] ** 2)


@register("coral")
class Coral(Aligning):
    """Fine-tune with source images, aligning the covariances of source and target embeddings (Sun and Saenko 2016).

    `L = CE(support, source) + weight r(t) |C_S - C_T|^2 / (4 d^2)` with the Frobenius norm (deep CORAL); `C_S` and `C_T` are
    the covariances of the source and target embeddings in a batch, and `d` is their length (standardised, and only classes
    with support: see `Alignment`). `r` rises from 0 to 1 as in `dann`. Means are not compared, so a difference in class
    shares matters less than in `mmd`.
    """

    distance = staticmethod(coral)
    weight: float = tunable(30.0, low=3.0, high=300.0, log=True, ge=0)
