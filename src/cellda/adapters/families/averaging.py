"""Weights between those of two models."""

import torch

from cellda.models.classifier import CellClassifier


def averaged(model: CellClassifier, other: CellClassifier, share: float) -> CellClassifier:
    """The model with a weighted mean of its own parameters and another model's, which have `share` of the sum."""
    with torch.no_grad():
        for own, others in zip(model.parameters(), other.parameters(), strict=True):
            own.lerp_(others, share)
    return model
