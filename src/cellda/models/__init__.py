"""The classifier: timm encoder, 128-d embedding and head, and the sources of its weights."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from cellda.models.classifier import CellClassifier
    from cellda.models.spec import Backbone
else:  # importing `Backbone` must not import torch
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__, submod_attrs={"classifier": ["CellClassifier"], "spec": ["Backbone"]}
    )

__all__ = ["Backbone", "CellClassifier"]
