"""What is exported of a dataset."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor

from cellda.datasets.reading.cell_images import CellImages

if TYPE_CHECKING:
    from cellda.taxonomies.base import Taxonomy


class Exported(CellImages):
    """The part of `CellDataset` that other libraries are given: pixels, classes and groups."""

    @property
    @abstractmethod
    def taxonomy(self) -> "Taxonomy":
        """See `CellDataset.taxonomy`."""

    @property
    @abstractmethod
    def labels(self) -> Tensor:
        """See `CellDataset.labels`."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """See `CellDataset.fingerprint`."""

    @property
    @abstractmethod
    def code(self) -> str:
        """See `CellDataset.code`."""

    @abstractmethod
    def effective_groups(self) -> list[str]:
        """See `CellDataset.effective_groups`."""
