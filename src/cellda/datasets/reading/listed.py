"""Where the cells of a dataset were listed, and whether anything was added to or removed from these places since."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cellda.runtime.contents import state_of


@dataclass(frozen=True)
class Listed:
    """The places in which cells were listed.

    Attributes:
        states: State of each folder, and of the table if there is one, when they had been read.
    """

    states: Mapping[str, bytes]

    @classmethod
    def of(cls, given: Path | None, root: Path | None, paths: Iterable[str]) -> Self:
        """The places of a dataset that was just read.

        Args:
            given: The folder or the table that the user named; None for synthetic datasets.
            root: The folder that paths are relative to.
            paths: Paths of the cells' files.
        """
        if given is None or root is None:
            return cls({})
        folders = {path.rpartition("/")[0] for path in paths}
        above = {str(one) for folder in folders for one in Path(folder).parents}
        # os.path, because paths may be many.
        places = {str(given), *(os.path.join(root, folder) for folder in folders | above)}  # noqa: PTH118
        return cls({place: state_of(place) for place in places})

    def changed(self) -> bool:
        """Whether a folder has another entry, or the table other rows, or perhaps only other times."""
        return any(state_of(place) != state for place, state in self.states.items())
