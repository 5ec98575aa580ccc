"""The one training loop, augmentation and search."""

from cellda.training.settings import Search, SourceTraining, Training

__all__ = ["Search", "SourceTraining", "Training"]
