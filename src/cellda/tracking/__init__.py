"""Loggers: what a run does, in TensorBoard, MLflow or Weights & Biases.

    >>> from cellda.tracking import TensorBoard
    >>> TensorBoard("runs").folder.name
    'runs'

`recipe.run(target, data, log=[TensorBoard("runs")])`, or `cellda run --log tensorboard=runs`. A logger of your own derives
from `Logger`.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from cellda.tracking.base import Logger
    from cellda.tracking.mlflow import MLflow
    from cellda.tracking.tensorboard import TensorBoard
    from cellda.tracking.wandb import WandB
else:
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "base": ["Logger"],
            "mlflow": ["MLflow"],
            "tensorboard": ["TensorBoard"],
            "wandb": ["WandB"],
        },
    )

__all__ = ["Logger", "MLflow", "TensorBoard", "WandB"]
