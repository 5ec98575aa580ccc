"""The numbers of the paper (Chossegros et al. 2024) that cellda compares its own numbers with."""

from collections.abc import Iterable

import pandas as pd

from cellda.errors import ConfigurationError
from cellda.evaluation.predictions import classes_of
from cellda.taxonomies import DEFAULT, create

ABLATION: dict[tuple[str, str], tuple[float, float, float]] = {
    ("no_source_train", "munich_2021"): (0.31, 0.34, 0.29),
    ("no_fine_tune", "munich_2021"): (0.75, 0.69, 0.63),
    ("head_only", "munich_2021"): (0.77, 0.74, 0.62),
    ("mixed_train", "munich_2021"): (0.78, 0.74, 0.63),
    ("no_transform", "munich_2021"): (0.83, 0.78, 0.65),
    ("our_workflow", "munich_2021"): (0.82, 0.79, 0.66),
    ("no_source_train", "raabin"): (0.49, 0.48, 0.34),
    ("no_fine_tune", "raabin"): (0.65, 0.47, 0.46),
    ("head_only", "raabin"): (0.82, 0.85, 0.67),
    ("mixed_train", "raabin"): (0.80, 0.70, 0.55),
    ("no_transform", "raabin"): (0.92, 0.76, 0.68),
    ("our_workflow", "raabin"): (0.92, 0.85, 0.76),
    ("no_source_train", "lisc"): (0.56, 0.46, 0.50),
    ("no_fine_tune", "lisc"): (0.46, 0.38, 0.45),
    ("head_only", "lisc"): (0.67, 0.68, 0.67),
    ("mixed_train", "lisc"): (0.71, 0.71, 0.70),
    ("no_transform", "lisc"): (0.93, 0.93, 0.93),
    ("our_workflow", "lisc"): (0.89, 0.90, 0.90),
    ("no_source_train", "jslh"): (0.45, 0.18, 0.25),
    ("no_fine_tune", "jslh"): (1.00, 1.00, 1.00),
    ("head_only", "jslh"): (1.00, 1.00, 1.00),
    ("mixed_train", "jslh"): (1.00, 1.00, 1.00),
    ("no_transform", "jslh"): (1.00, 1.00, 1.00),
    ("our_workflow", "jslh"): (1.00, 1.00, 1.00),
    ("no_source_train", "jin_woo_choi"): (0.47, 0.16, 0.22),
    ("no_fine_tune", "jin_woo_choi"): (0.57, 0.18, 0.31),
    ("head_only", "jin_woo_choi"): (0.81, 0.55, 0.54),
    ("mixed_train", "jin_woo_choi"): (0.78, 0.32, 0.33),
    ("no_transform", "jin_woo_choi"): (0.88, 0.89, 0.86),
    ("our_workflow", "jin_woo_choi"): (0.90, 0.86, 0.94),
    ("no_source_train", "jiangxi_tecom"): (0.69, 0.64, 0.47),
    ("no_fine_tune", "jiangxi_tecom"): (0.16, 0.20, 0.21),
    ("head_only", "jiangxi_tecom"): (0.85, 0.51, 0.47),
    ("mixed_train", "jiangxi_tecom"): (0.54, 0.34, 0.31),
    ("no_transform", "jiangxi_tecom"): (0.77, 0.71, 0.52),
    ("our_workflow", "jiangxi_tecom"): (0.90, 0.85, 0.88),
    ("no_source_train", "bccd"): (0.53, 0.35, 0.36),
    ("no_fine_tune", "bccd"): (0.25, 0.17, 0.17),
    ("head_only", "bccd"): (0.41, 0.40, 0.40),
    ("mixed_train", "bccd"): (0.41, 0.40, 0.41),
    ("no_transform", "bccd"): (0.84, 0.83, 0.85),
    ("our_workflow", "bccd"): (0.81, 0.81, 0.81),
    ("no_source_train", "tianjin"): (0.33, 0.41, 0.27),
    ("no_fine_tune", "tianjin"): (0.85, 0.69, 0.77),
    ("head_only", "tianjin"): (0.82, 0.86, 0.77),
    ("mixed_train", "tianjin"): (0.91, 0.76, 0.71),
    ("no_transform", "tianjin"): (0.56, 0.73, 0.62),
    ("our_workflow", "tianjin"): (0.91, 0.74, 0.76),
}
"""Table C.1 of the paper: (condition, target) -> accuracy, macro precision, macro recall."""

MEANS: dict[str, tuple[float, float, float]] = {
    "no_source_train": (0.48, 0.38, 0.34),
    "no_fine_tune": (0.59, 0.48, 0.50),
    "head_only": (0.71, 0.65, 0.60),
    "mixed_train": (0.74, 0.62, 0.58),
    "no_transform": (0.84, 0.83, 0.76),
    "our_workflow": (0.89, 0.85, 0.84),
}
"""Table 5 of the paper: condition -> accuracy, macro precision, macro recall, over its eight targets."""

PER_CLASS: dict[tuple[str, str], tuple[float, float]] = {
    ("raabin", "basophil"): (0.88, 0.36),
    ("raabin", "eosinophil"): (0.78, 0.72),
    ("raabin", "lymphocyte"): (0.87, 0.97),
    ("raabin", "monocyte"): (0.73, 0.79),
    ("raabin", "neutrophil"): (0.96, 0.98),
    ("munich_2021", "basophil"): (0.64, 0.13),
    ("munich_2021", "eosinophil"): (0.75, 0.80),
    ("munich_2021", "erythroblast"): (0.78, 0.93),
    ("munich_2021", "lymphocyte"): (0.76, 0.88),
    ("munich_2021", "monocyte"): (0.91, 0.28),
    ("munich_2021", "neutrophil"): (0.89, 0.96),
    ("lisc", "basophil"): (0.96, 1.00),
    ("lisc", "eosinophil"): (1.00, 0.70),
    ("lisc", "lymphocyte"): (0.96, 0.93),
    ("lisc", "monocyte"): (0.70, 0.97),
    ("lisc", "neutrophil"): (0.88, 0.91),
    ("jslh", "erythroblast"): (1.00, 1.00),
    ("jslh", "neutrophil"): (1.00, 1.00),
    ("jin_woo_choi", "erythroblast"): (1.00, 0.87),
    ("jin_woo_choi", "neutrophil"): (0.72, 1.00),
    ("jiangxi_tecom", "eosinophil"): (0.58, 1.00),
    ("jiangxi_tecom", "lymphocyte"): (0.80, 0.60),
    ("jiangxi_tecom", "monocyte"): (0.88, 0.85),
    ("jiangxi_tecom", "neutrophil"): (0.96, 0.97),
    ("bccd", "eosinophil"): (0.70, 0.67),
    ("bccd", "lymphocyte"): (0.94, 0.94),
    ("bccd", "monocyte"): (0.81, 0.92),
    ("bccd", "neutrophil"): (0.77, 0.71),
    ("tianjin", "basophil"): (0.95, 0.73),
    ("tianjin", "eosinophil"): (0.81, 0.99),
    ("tianjin", "lymphocyte"): (0.77, 0.94),
    ("tianjin", "monocyte"): (0.93, 0.92),
    ("tianjin", "neutrophil"): (0.98, 0.98),
}
"""Table 4 of the paper: (target, class) -> precision, recall of its workflow."""


SOURCE: dict[str, tuple[float, float, float]] = {
    "munich_2019": (0.88, 0.76, 0.77),
    "barcelona": (0.98, 0.98, 0.98),
}
"""Section "Classification of target datasets": accuracy, macro precision, macro recall on the held-out fifth of a source."""


SWAPPED = {"jiangxi_tecom/authors": "jiangxi_tecom"}
"""Targets with the labels that the paper's numbers are based on -> what the paper calls them.

Their lymphocytes and monocytes are swapped (docs/published_protocol.md).
"""


def named(target: str) -> str:
    """What the paper calls a target."""
    return SWAPPED.get(target, target)


def remarks(targets: Iterable[str]) -> list[str]:
    """What to know when comparing our numbers with the paper's for these targets."""
    shown = set(targets)
    return [
        f"The paper's numbers for {name} use '{here}' (lymphocytes and monocytes swapped), ours the labels as published."
        for here, name in SWAPPED.items()
        if name in shown
    ]


def same_classes(predictions: pd.DataFrame) -> bool:
    """Whether predictions tell the paper's classes apart, so that its numbers can stand beside theirs."""
    return classes_of(predictions) == create(DEFAULT).classes


def check_same_classes(predictions: pd.DataFrame) -> None:
    """Refuse to set the paper's numbers beside predictions of other classes.

    Raises:
        ConfigurationError: If they are of others.
    """
    if not same_classes(predictions):
        raise ConfigurationError(
            f"The paper's numbers are of {', '.join(create(DEFAULT).classes)}, and these predictions of "
            f"{', '.join(classes_of(predictions))}: they cannot be compared. The tables summary, conditions and per_class "
            "show these predictions alone."
        )


def ablation() -> pd.DataFrame:
    """Table C.1: columns `condition, target, accuracy, precision, recall` (macro averages), in [0, 1]."""
    rows = [(*key, *values) for key, values in ABLATION.items()]
    return pd.DataFrame(rows, columns=["condition", "target", "accuracy", "precision", "recall"])


def comparable() -> pd.DataFrame:
    """Table C.1, plus a copy of its numbers for targets with swapped labels under cellda's names for these."""
    table = ablation()
    copies = [table[table["target"] == name].assign(target=here) for here, name in SWAPPED.items()]
    return pd.concat([table, *copies], ignore_index=True)


def per_class() -> pd.DataFrame:
    """Table 4: columns `target, class, precision, recall`, in [0, 1]."""
    rows = [(*key, *values) for key, values in PER_CLASS.items()]
    return pd.DataFrame(rows, columns=["target", "class", "precision", "recall"])


def source() -> pd.DataFrame:
    """`SOURCE` in the columns of `ablation`, with the condition `source`."""
    rows = [("source", name, *values) for name, values in SOURCE.items()]
    return pd.DataFrame(rows, columns=["condition", "target", "accuracy", "precision", "recall"])
