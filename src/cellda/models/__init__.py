"""The classifier: timm encoder, 128-d embedding, head; and where its weights come from."""

from typing import TYPE_CHECKING, Any

from cellda.models.spec import Backbone

if TYPE_CHECKING:
    from cellda.models.classifier import CellClassifier

__all__ = ["Backbone", "CellClassifier"]


def __getattr__(name: str) -> Any:
    # The classifier needs torch, which naming a backbone must not import.
    if name == "CellClassifier":
        from cellda.models.classifier import CellClassifier

        return CellClassifier
    raise AttributeError(f"module 'cellda.models' has no attribute {name!r}")
