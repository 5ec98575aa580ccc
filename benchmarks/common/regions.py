"""Regions of the embedding, and the wrong predictions in each (paper, Figs. 11 and 12)."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from jaxtyping import Float, Int
from sklearn.cluster import KMeans

from cellda.errors import ConfigurationError
from cellda.evaluation.wrong import confusions, second_class, wrong

Array = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


def regions(embeddings: Float[Array, "n d"], number: int, seed: int = 0) -> Int[Numbers, " n"]:
    """Region 1, 2, ... of each cell, the largest first: k-means clusters of the embeddings.

    They are computed in the embedding rather than in its map, where distances mean little. The paper draws its regions by
    hand, one around each class's cluster; the closest equivalent is as many regions as the target has classes.

    Args:
        embeddings: `(N, D)`.
        number: Number of regions.
        seed: Seed of k-means.

    Raises:
        ConfigurationError: If there are more regions than cells, or none.
    """
    if not 0 < number <= len(embeddings):
        raise ConfigurationError(
            f"{len(embeddings)} cells cannot be divided into {number} regions; ask for 1 to {len(embeddings)}."
        )
    found = KMeans(number, n_init=10, random_state=seed).fit_predict(embeddings)
    sizes = np.bincount(found, minlength=number)
    place = np.empty(number, dtype=np.int64)
    place[np.argsort(-sizes, kind="stable")] = np.arange(1, number + 1)
    numbered: Numbers = place[found]
    return numbered


def region_table(region: Int[Numbers, " n"], predictions: pd.DataFrame) -> pd.DataFrame:
    """The contents of each region.

    Args:
        region: Region of each row of `predictions`.
        predictions: Rows of a prediction table.

    Returns:
        One row per region: `region`, `cells`, `label` (its most common true class), `purity` (that class's share),
            `wrong` and `second_is_true` (counts), and `commonest`, its most common confusion as "true → predicted",
            empty if nothing is wrong.
    """
    rows = []
    for number in sorted(set(region.tolist())):
        part = predictions[region == number]
        missed, counts = wrong(part), part["label"].value_counts()
        first = confusions(part).head(1)
        rows.append(
            {
                "region": number,
                "cells": len(part),
                "label": str(counts.index[0]),
                "purity": counts.iloc[0] / len(part),
                "wrong": len(missed),
                "second_is_true": int((second_class(missed) == missed["label"]).sum()),
                "commonest": "".join(first["label"] + " → " + first["predicted"]),
            }
        )
    return pd.DataFrame(rows)
