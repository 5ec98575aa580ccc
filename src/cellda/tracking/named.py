"""Loggers as the command line names them."""

from cellda.errors import ConfigurationError, nearest
from cellda.tracking.base import Logger
from cellda.tracking.mlflow import MLflow
from cellda.tracking.tensorboard import TensorBoard
from cellda.tracking.wandb import WandB

LOGGERS: dict[str, type[TensorBoard] | type[MLflow] | type[WandB]] = {
    one.name: one for one in (TensorBoard, MLflow, WandB)
}


def named(text: str) -> Logger:
    """The logger that `NAME` or `NAME=PLACE` names; the place is the first argument of its class.

    >>> named("tensorboard=runs").name
    'tensorboard'

    Raises:
        ConfigurationError: If no logger has this name.
    """
    name, given, place = text.partition("=")
    if name not in LOGGERS:
        raise ConfigurationError(f"There is no logger '{name}'; {nearest(name, LOGGERS)}")
    if given and not place:
        raise ConfigurationError(
            f"'{text}' names no place; write for example tensorboard=runs, or '{name}' alone."
        )
    return LOGGERS[name](place) if given else LOGGERS[name]()
