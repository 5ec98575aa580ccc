"""The one training loop and its settings."""

from cellda.training.settings import SourceTraining, Training

__all__ = ["SourceTraining", "Training"]
