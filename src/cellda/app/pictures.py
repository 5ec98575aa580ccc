"""Pictures of cells for the page: made when they are first asked for, and kept in the project."""

from enum import StrEnum
from pathlib import Path

import numpy as np
from PIL import Image

from cellda.app.project.project import Project
from cellda.app.project.tables import Cell
from cellda.datasets.reading.decode import decode
from cellda.framing.spec import FramingSpec
from cellda.runtime.place import written


class Kind(StrEnum):
    """What of an image is shown, and how large at most, in pixels."""

    SMALL = "small"
    FRAMED = "framed"
    LARGE = "large"
    WHOLE = "whole"

    @property
    def side(self) -> int:
        """The longer side, at most."""
        return {"small": 112, "framed": 112, "large": 384, "whole": 1400}[self.value]

    @property
    def cut(self) -> bool:
        """Whether the cell is framed as the network sees it."""
        return self in (Kind.FRAMED, Kind.LARGE)


def picture(project: Project, cell: Cell, kind: Kind) -> Path:
    """The file of a picture (JPEG).

    Raises:
        DataError: If the image cannot be read.
    """
    file = project.file(cell)
    changed = file.stat().st_mtime_ns if file.exists() else 0
    kept = project.place / "pictures" / kind.value / f"{cell.id}-{changed:x}.jpg"
    if kept.is_file():
        return kept
    pixels = decode(file).permute(1, 2, 0).numpy()
    if kind.cut:
        pixels, _ = FramingSpec(name="cell").build().frame(pixels, kind.side)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((kind.side, kind.side))
    kept.parent.mkdir(parents=True, exist_ok=True)
    with written(kept) as part:
        image.save(part, "JPEG", quality=88)
    return kept
