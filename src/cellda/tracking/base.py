"""The interface of loggers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from typing import ClassVar

from cellda.errors import ConfigurationError

Param = str | int | float | bool | None
"""A value of a recipe's field."""


class Logger(ABC):
    """Where a run is logged.

    Its methods are called in their order here: `check` and `start` before the work, `scalar` and `text` any number of times,
    `end` once.

    Attributes:
        name: What messages and `--log` call it.
        package: The package that it needs, which the extra of cellda called `name` installs.
    """

    name: ClassVar[str]
    package: ClassVar[str]

    def check(self) -> None:
        """Refuse a place that cannot be logged to, before anything is read.

        Raises:
            ConfigurationError: If the package is missing, or the place cannot be written.
        """
        if find_spec(self.package) is None:
            raise ConfigurationError(
                f"Logging to {self.name} needs the package {self.package}: pip install 'cellda[{self.name}]'."
            )

    @abstractmethod
    def start(self, run: str, params: Mapping[str, Param]) -> None:
        """Begin a run.

        Args:
            run: Its name, which ends in its digest.
            params: Field of the recipe (`adapter.lr`) -> value; with the target and the digest.
        """

    @abstractmethod
    def scalar(self, series: str, step: int, value: float) -> None:
        """Log one value of a series (`loss/adapt/full`), finite."""

    @abstractmethod
    def text(self, name: str, content: str) -> None:
        """Log a text."""

    @abstractmethod
    def end(self, *, finished: bool) -> None:
        """End the run; `finished` is false if it was interrupted or failed."""
