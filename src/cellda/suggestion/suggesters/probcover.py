"""Cells whose neighbourhoods cover most others."""

import warnings

import numpy as np

from cellda.errors import ConfigurationError
from cellda.suggestion.suggesters import register
from cellda.suggestion.suggesters.base import Cells, Rows, Suggester

MOST = 20_000
"""Cells for which a table of all distances fits into memory (3 GB)."""


@register("probcover")
class ProbCover(Suggester):
    """The cell whose ball holds most cells that no ball holds yet, again and again; needs no labels itself.

    The radius is the largest at which a share `purity` of the balls hold cells of one cluster only (k-means with as many
    clusters as classes). Computed by scikit-activeml.

    Yehuda, Dekel, Hacohen, Weinshall: Active learning through a covering lens. NeurIPS 2022.

    Args:
        purity: That share, between 0 and 1.
    """

    def __init__(self, purity: float = 0.95) -> None:
        if not 0 < purity < 1:
            raise ConfigurationError(f"probcover: purity lies between 0 and 1; got {purity}.")
        self.purity = purity

    def chosen(self, cells: Cells, n: int, seed: int) -> Rows:
        """See `Suggester.chosen`.

        Raises:
            ConfigurationError: If there are more than `MOST` cells.
        """
        from skactiveml import pool  # heavy
        from sklearn.exceptions import ConvergenceWarning

        if len(cells) > MOST:
            raise ConfigurationError(
                f"The suggester 'probcover' compares all cells with each other, at most {MOST:,}; got {len(cells):,}. Give "
                "fewer, or choose 'typiclust'."
            )
        radii = np.arange(0.05, 2.0, 0.05)
        cover = pool.ProbCover(
            n_classes=max(2, min(cells.classes, len(cells))),
            deltas=radii,
            alpha=self.purity,
            random_state=seed,
        )
        with warnings.catch_warnings():
            # Of few different embeddings, the smallest radius is taken.
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", message="The maximum purity", category=UserWarning)
            return np.asarray(cover.query(cells.units, cells.partial_labels, batch_size=n))
