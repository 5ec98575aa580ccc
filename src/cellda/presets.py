"""Named edits of a recipe: the paper's six conditions, recommended recipes, and machine sizes."""

from collections.abc import Mapping
from typing import Any

from cellda.errors import UnknownNameError, nearest

CONDITIONS: dict[str, Mapping[str, Any]] = {
    "no_source_train": {"adapter": "from_scratch", "target_normalizer": None},
    "no_fine_tune": {"adapter": "none", "target_normalizer": None},
    "head_only": {"adapter": "head_only", "target_normalizer": None},
    "mixed_train": {"adapter": "mixed_source", "target_normalizer": None},
    "no_transform": {"adapter": "full", "target_normalizer": "identity"},
    "our_workflow": {"adapter": "full", "target_normalizer": None},
}
"""The six experimental settings of the paper's ablation (Table 5), in its order."""

OURS = "our_workflow"
"""The condition that is the paper's own method."""

CAP = 3000
"""Maximum number of images that an adaptation may pass through the backbone in a leaderboard: a minute on two CPU cores."""

SIZES: dict[str, Mapping[str, Any]] = {
    "laptop": {
        "backbone": {"name": "tf_efficientnet_lite0", "weights": "packaged", "image_size": 128},
        "search": None,
    },
}
"""For smaller machines: `laptop` runs offline on two cores in minutes instead of hours."""

TRAINING: dict[str, Mapping[str, Any]] = {
    "published_training": {
        "training": {
            "lr": 1e-4,
            "optimizer": "adam",
            "weight_decay": 0.0,
            "one_cycle": False,
            "bn": "train",
        },
    },
}
"""Source training exactly as in the paper, where cellda's defaults differ."""

FRAMED: Mapping[str, Any] = {"framing": "cell", "training": {"stain_jitter": 1.0}, "search": None}
"""Every cell framed in the same way, and a source model trained on varied stains."""

RECOMMENDED: dict[str, Mapping[str, Any]] = {
    "best": {
        **FRAMED,
        "adapter": ["full", "second_view", "tta"],
        "target_normalizer": None,
        "calibration": "temperature",
    },
    "best_without_labels": {
        **FRAMED,
        "adapter": [{"name": "lame", "neighbours": 20}, "tta"],
        "target_normalizer": None,
        "calibration": "temperature",
    },
}
"""With labelled cells (`benchmarks/results/pooled`) and without labels (`benchmarks/results/pooled_without_labels`)."""

ADAPTATION = ("adapter", "target_normalizer", "search", "calibration")
"""The fields of a preset that say how a model is adapted; what it is trained on, and how, is the source model's."""

SUMMARIES = {
    "laptop": "Two cores, offline: tf_efficientnet_lite0 with packaged weights, 128 px, no search.",
    "published_training": "The paper's source training: adam, lr 0.0001, weight_decay 0.0, one_cycle False, bn train.",
    "best": "Best with labels: framing cell, stain_jitter 1.0, full+second_view+tta, calibration temperature, no search.",
    "best_without_labels": "Best without labels: framing cell, stain_jitter 1.0, lame 20 + tta, calibration temperature.",
    "no_source_train": "Ablation 1: ImageNet weights fine-tuned on the support set alone (adapter from_scratch).",
    "no_fine_tune": "Ablation 2: the source model unchanged (adapter none).",
    "head_only": "Ablation 3: only the head is trained (adapter head_only).",
    "mixed_train": "Ablation 4: fine-tuning on support and source images together (adapter mixed_source).",
    "no_transform": "Ablation 5: adapter full on unnormalized target images (target_normalizer identity).",
    "our_workflow": "The paper's workflow: all weights fine-tuned, colours normalized (adapter full).",
}
"""One line per preset, as `cellda list presets` shows it."""


def names() -> list[str]:
    """All preset names: sizes and training first, then the recommended ones, then the conditions in the paper's order."""
    return [*SIZES, *TRAINING, *RECOMMENDED, *CONDITIONS]


def edits_of(name: str) -> Mapping[str, Any]:
    """The recipe fields that a preset sets.

    Raises:
        UnknownNameError: If there is no such preset; the message suggests the nearest names.
    """
    if name not in names():
        raise UnknownNameError(f"There is no preset '{name}'; {nearest(name, names())}")
    return {**SIZES, **TRAINING, **RECOMMENDED, **CONDITIONS}[name]


def adaptation_of(name: str) -> Mapping[str, Any]:
    """The recipe fields that a preset sets and that go with any trained source model.

    Raises:
        UnknownNameError: If there is no such preset; the message suggests the nearest names.
    """
    return {field: value for field, value in edits_of(name).items() if field in ADAPTATION}


def summary(name: str) -> str:
    """What a preset is for and what it sets, in one line.

    Raises:
        UnknownNameError: If there is no such preset; the message suggests the nearest names.
    """
    edits_of(name)
    return SUMMARIES[name]
