"""Wrong predictions: what cells were mistaken for, and the second most probable class (paper, Figs. 11 to 13)."""

import numpy as np
import pandas as pd

from cellda.evaluation.predictions import class_indices, classes_of, probabilities, probability_columns


def wrong(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows of a prediction table whose predicted class is not the true one."""
    return predictions[(predictions["label"] != predictions["predicted"]).to_numpy(dtype=bool)]


def second_class(predictions: pd.DataFrame) -> "pd.Series[str]":
    """The most probable class of each row after the predicted one; of equal ones the first in class order."""
    p = probabilities(predictions).copy()
    p[np.arange(len(p)), class_indices(predictions, "predicted")] = -1
    names = np.array(classes_of(predictions))[p.argmax(1)]
    return pd.Series(names, index=predictions.index, name="second", dtype="string")


def second_chances(predictions: pd.DataFrame) -> pd.DataFrame:
    """How often the second most probable class is correct when the first is wrong (paper, Fig. 13).

    Returns:
        One row for each class that has cells, in class order: `label`, `cells`, `wrong`, `second_is_true`
            (counts), and `share`, the share of wrong predictions whose second class is correct, in [0, 1]; NaN
            if none is wrong.
    """
    cells = predictions["label"].value_counts()
    missed = wrong(predictions)
    rescued = missed[(second_class(missed) == missed["label"]).to_numpy(dtype=bool)]
    table = pd.DataFrame({"label": [name for name in classes_of(predictions) if name in cells.index]})
    for column, part in (("cells", predictions), ("wrong", missed), ("second_is_true", rescued)):
        counts = part["label"].value_counts()
        table[column] = [int(counts.get(name, 0)) for name in table["label"]]
    return table.assign(share=table["second_is_true"] / table["wrong"].where(table["wrong"] > 0))


def wrong_profiles(predictions: pd.DataFrame) -> pd.DataFrame:
    """Mean probability vector of the wrong predictions of each true class (paper, Fig. 13).

    Returns:
        One row for each class with wrong predictions, in class order: `label`, `wrong` (their number) and the
            mean of every column of class probabilities, which sum to 1.
    """
    missed = wrong(predictions)
    groups = missed.groupby(missed["label"].astype(str))
    means = groups[list(probability_columns(classes_of(predictions)))].mean().astype(np.float64)
    means.insert(0, "wrong", groups.size())
    present = [name for name in classes_of(predictions) if name in means.index]
    return means.loc[present].rename_axis("label").reset_index()


def confusions(predictions: pd.DataFrame) -> pd.DataFrame:
    """Every way of being wrong that occurs.

    Returns:
        Columns `label, predicted, wrong, second_is_true` (counts), the commonest first, then in class order.
    """
    missed = wrong(predictions)
    rescued = (second_class(missed) == missed["label"]).astype(int)
    pairs = missed.assign(second_is_true=rescued).groupby(["label", "predicted"], sort=True)
    table = pairs["second_is_true"].agg(wrong="size", second_is_true="sum").astype(int).reset_index()
    return table.sort_values("wrong", ascending=False, kind="stable", ignore_index=True)
