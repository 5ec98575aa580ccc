"""Named edits of a recipe: the paper's six conditions, with its published numbers beside them, and machine sizes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cellda.errors import UnknownNameError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from cellda.recipe import Recipe

CONDITIONS: dict[str, Mapping[str, Any]] = {
    "no_source_train": {"adapter": "from_scratch", "target_normalizer": None},
    "no_fine_tune": {"adapter": "none", "target_normalizer": None},
    "head_only": {"adapter": "head_only", "target_normalizer": None},
    "mixed_train": {"adapter": "mixed_source", "target_normalizer": None},
    "no_transform": {"adapter": "full", "target_normalizer": "identity"},
    "our_workflow": {"adapter": "full", "target_normalizer": None},
}
"""The six experimental settings of the paper's ablation (Table 5), in its order."""

SIZES: dict[str, Mapping[str, Any]] = {
    "laptop": {
        "backbone": {"name": "tf_efficientnet_lite0", "weights": "packaged", "image_size": 128},
        "search": None,
    },
}
"""Smaller machines: `laptop` runs offline on two cores in minutes instead of hours."""


SUMMARIES = {
    "laptop": "Two cores, offline: tf_efficientnet_lite0 with packaged weights, 128 px, no search.",
    "no_source_train": "Ablation 1: ImageNet weights tuned on the support alone (adapter from_scratch).",
    "no_fine_tune": "Ablation 2: the source model as it is (adapter none).",
    "head_only": "Ablation 3: only the head is trained (adapter head_only).",
    "mixed_train": "Ablation 4: support and source images together (adapter mixed_source).",
    "no_transform": "Ablation 5: adapter full, the target's colours as they are (target_normalizer identity).",
    "our_workflow": "The paper's workflow: all weights tuned, colours normalised (adapter full).",
}
"""One line a preset, as `cellda list presets` shows them."""


def names() -> list[str]:
    """All preset names: sizes first, then the conditions in the paper's order."""
    return [*SIZES, *CONDITIONS]


def edits_of(name: str) -> Mapping[str, Any]:
    """The recipe fields that a preset sets.

    Raises:
        UnknownNameError: If there is no such preset; the message names the near ones.
    """
    if name not in names():
        raise UnknownNameError(f"There is no preset '{name}'; {nearest(name, names())}")
    return {**SIZES, **CONDITIONS}[name]


def summary(name: str) -> str:
    """What a preset is for and what it sets, in one line.

    Raises:
        UnknownNameError: If there is no such preset; the message names the near ones.
    """
    edits_of(name)
    return SUMMARIES[name]


def condition_of(recipe: "Recipe") -> str:
    """The paper's name for what a recipe does with the target, else its adapter's, with that of a target normalizer."""
    target = None if recipe.target_normalizer is None else recipe.target_normalizer.name
    if recipe.normalizer.name != "identity":
        for name, edits in CONDITIONS.items():
            if (edits["adapter"], edits["target_normalizer"]) == (recipe.adapter.name, target):
                return name
        if target is None:
            return recipe.adapter.name
    return f"{recipe.adapter.name}+{recipe.used_target_normalizer.name}"


PUBLISHED: dict[tuple[str, str], tuple[float, float, float]] = {
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

PUBLISHED_SOURCE: dict[str, tuple[float, float, float]] = {
    "munich_2019": (0.88, 0.76, 0.77),
    "barcelona": (0.98, 0.98, 0.98),
}
"""Section "Classification of target datasets": accuracy, macro precision, macro recall on the held-out fifth of a source."""


def published_frame() -> "pd.DataFrame":
    """`PUBLISHED` as a table: columns `condition, target, accuracy, precision, recall`."""
    import pandas as pd

    rows = [(*key, *values) for key, values in PUBLISHED.items()]
    return pd.DataFrame(rows, columns=["condition", "target", "accuracy", "precision", "recall"])
