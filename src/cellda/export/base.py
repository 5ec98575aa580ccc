"""The base class of formats in which a classifier is exported."""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from jaxtyping import Float, UInt8
from torch import Tensor

from cellda.errors import ConfigurationError
from cellda.export.graph import Graph

INPUT, OUTPUT = "pixels", "probabilities"
"""Names of the input and output of a file that names them."""
OPSET = 20
"""Version of the operations of ONNX."""
Run = Callable[[UInt8[Tensor, "n 3 s s"]], Float[Tensor, "n classes"]]
"""What a file computes: from raw pixels to class probabilities."""


class Format(ABC):
    """Writes a graph into one file, and opens such a file without cellda's own code.

    Attributes:
        suffix: Of its files.
        needs: Modules of the extra `export` that it imports.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def write(self, graph: Graph, path: Path) -> None:
        """Write a graph, with what `graph.metadata` says of it, into a file that does not exist."""

    @abstractmethod
    def runs(self, path: Path) -> dict[str, Run]:
        """Open a file, as its users will: what computes the probabilities -> how; several, if it holds several weights."""

    def check_installed(self) -> None:
        """Refuse a format whose packages are not installed.

        Raises:
            ConfigurationError: If one is not.
        """
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        if absent:
            raise ConfigurationError(
                f"The format '{self.name}' needs {', '.join(absent)}: pip install 'cellda[export]'."
            )
