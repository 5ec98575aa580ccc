"""Alignment of covariances."""

from jaxtyping import Float
from torch import Tensor

from cellda.adapters import register
from cellda.adapters.families.aligning import Aligning
from cellda.plugins.settings import tunable


def coral(source: Float[Tensor, "n d"], target: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
    """Squared Frobenius distance of the two covariance matrices over `4 d^2`; each side has at least two rows."""
    apart = source.T.cov() - target.T.cov()
    return apart.square().sum() / (4 * source.shape[1] ** 2)


@register("coral")
class Coral(Aligning):
    """Fine-tune with source images, covariances of both embeddings alike: deep CORAL (Sun and Saenko 2016).

    `L = CE(support, source) + weight r(t) |C_S - C_T|^2 / (4 d^2)`, Frobenius norm, `C` the covariances of the embeddings of
    source and target in a batch and `d` their length (Alignment: standardised, classes with support). `r` rises from 0 to 1
    as in `dann`. Means are not compared, so that other shares of the classes matter less than in `mmd`.
    """

    distance = staticmethod(coral)
    weight: float = tunable(30.0, low=3.0, high=300.0, log=True, ge=0)
