"""What datasets of rendered cells have in common: no folder, and framing of images that are rendered large enough."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError

if TYPE_CHECKING:
    from cellda.framing.base import Pixels

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

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the options, and of the cells and labels where a taxonomy changes them; the renderer itself is in `code`."""
        cells: list[object] = [self.rendered_from]
        if len(self.dropped) or not self.table["label"].equals(self.table["raw_label"]):
            cells += self.table[["path", "label"]].itertuples(index=False, name=None)
        content = repr(cells[0] if len(cells) == 1 else cells)
        return hashlib.sha256(content.encode()).hexdigest()

    def originals(self, indices: Sequence[int], use: Callable[[int, "Pixels"], None], least: int = 1) -> None:
        """See `CellDataset.originals`."""
        for place, image in enumerate(self.read(indices, max(least, OWN_SIZE)).permute(0, 2, 3, 1)):
            use(place, image.contiguous().numpy())
