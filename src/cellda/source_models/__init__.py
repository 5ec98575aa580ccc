"""Source models that need no training: folders of saved classifiers, in half precision and with a card.

`cellda.source_models.load(NAME)` returns one, `card(NAME)` says what it was trained on and how well it does, and
`Recipe(source_model=NAME)` adapts it. Those of cellda are subfolders of this one, which `python -m benchmarks.release` makes;
other distributions offer theirs through entry points (`folders.SourceModels`).
"""

from typing import TYPE_CHECKING

from cellda.source_models.folders import SourceModels

if TYPE_CHECKING:
    from cellda.models.classifier import CellClassifier
    from cellda.source_models.cards import Card

DEFAULT = "pooled"
"""The model that `cellda adapt` starts from where nothing is said about sources, if it is installed."""

registry = SourceModels("cellda.source_models")
names = registry.names
summary = registry.summary
folder = registry.folder

__all__ = ["card", "folder", "load", "names", "registry", "summary"]


def load(name: str) -> "CellClassifier":
    """The classifier that is registered under `name`, in evaluation mode and single precision.

    Raises:
        UnknownNameError: If no model has this name; the message suggests the nearest names.
        DataError: If its files are damaged.
    """
    from cellda.models.classifier import CellClassifier  # listing names must not import torch

    return CellClassifier.load(folder(name))


def card(name: str) -> "Card":
    """The card of the model that is registered under `name`.

    Raises:
        UnknownNameError: If no model has this name; the message suggests the nearest names.
        DataError: If its card cannot be read.
    """
    from cellda.source_models.cards import Card  # listing names must not import pydantic

    return Card.read(folder(name))
