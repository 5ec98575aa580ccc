"""What datasets of rendered cells have in common: no folder, and framing of images that are rendered large enough."""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Bool, UInt8
from torch import Tensor

from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError

if TYPE_CHECKING:
    from cellda.framing.base import Framing

OWN_SIZE = 192
"""Side in pixels of the images that a framing crops; larger ones are rendered if larger ones are requested."""


class Rendered(CellDataset):
    """A dataset of rendered cells; its options are attributes that are set before `super().__init__`.

    Args:
        root: Must be None: there is nothing to read from a folder.

    Raises:
        ConfigurationError: If a folder is given.
    """

    def __init__(self, root: Path | None) -> None:
        if root is not None:
            raise ConfigurationError(
                f"Dataset '{self.name}' is rendered and reads no folder; leave out the root '{root}'."
            )
        super().__init__(root)

    @property
    @abstractmethod
    def rendered_from(self) -> tuple[object, ...]:
        """The options that decide what the cells look like."""

    @property
    def fingerprint(self) -> str:
        """Hash of the options; the renderer itself is in `code`."""
        return hashlib.sha256(repr(self.rendered_from).encode()).hexdigest()

    def framed(
        self, indices: Sequence[int], size: int, framing: "Framing"
    ) -> tuple[UInt8[Tensor, "n 3 size size"], Bool[Tensor, " n"]]:
        """Render cells `indices`, frame each and resize it."""
        from cellda.framing.base import frame_all

        return frame_all(self.read(indices, max(size, OWN_SIZE)), framing, size)
