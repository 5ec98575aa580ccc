"""The classifier: timm encoder, 128-d embedding, head; and where its weights come from."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from cellda.models.classifier import CellClassifier
    from cellda.models.spec import Backbone
else:  # naming a backbone must not import torch
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__, submod_attrs={"classifier": ["CellClassifier"], "spec": ["Backbone"]}
    )

__all__ = ["Backbone", "CellClassifier"]
