"""How often single cells are taken for fields, and fields recognised, without a model (`results/judging/fields.csv`).

    python -m benchmarks.questions.fields --data ~/wbc --out benchmarks/results/judging

Single cells: all images of the datasets. Fields: the photographs behind BCCD (`bccd_fields`), by the number of their white
cells, and pictures that are laid out of 4, 9 and 40 cells.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from benchmarks.common.datasets import datasets_of
from benchmarks.common.options import arguments, command
from benchmarks.common.results import write_table
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.decode import decode
from cellda.errors import ConfigurationError
from cellda.models.looks import FIELD, look_at

LAID_OUT = (4, 9, 40)
PICTURES = 10
SIDE = 300

Pixels = npt.NDArray[np.uint8]


def pixels_of(file: Path) -> Pixels:
    """`(H, W, 3)`."""
    return decode(file).permute(1, 2, 0).numpy()


def laid_out(files: Sequence[Path], cells: int) -> Iterator[Pixels]:
    """Pictures of so many cells side by side, each resized to `SIDE` pixels."""
    random = np.random.default_rng(0)
    across = int(np.ceil(cells**0.5))
    down = -(-cells // across)
    for _ in range(PICTURES):
        picture = np.full((down * SIDE, across * SIDE, 3), (225, 205, 215), np.uint8)
        for place, file in enumerate(random.choice(np.array(files, dtype=object), cells)):
            y, x = SIDE * (place // across), SIDE * (place % across)
            cell = Image.fromarray(pixels_of(file)).resize((SIDE, SIDE))
            picture[y : y + SIDE, x : x + SIDE] = np.asarray(cell)
        yield picture


def photographs(folder: Path) -> dict[str, list[Path]]:
    """The photographs behind BCCD, by the number of white cells that are marked in them."""
    found: dict[str, list[Path]] = {}
    for file in sorted((folder / "Annotations").glob("*.xml")):
        kinds = [marked.findtext("name") for marked in ElementTree.parse(file).getroot().iter("object")]
        white = kinds.count("WBC")
        found.setdefault(str(white) if white < FIELD else f"{FIELD} or more", []).append(
            folder / "JPEGImages" / f"{file.stem}.jpg"
        )
    return dict(sorted(found.items()))


def share(images: Iterable[Pixels]) -> dict[str, Any]:
    """Number of images, and the share that is taken for a field."""
    unused = np.zeros((8, 8, 3), np.uint8)
    fields = [look_at(image, unused).nuclei >= FIELD for image in images]
    return {"images": len(fields), "field": float(np.mean(fields))}


def measured(datasets: Sequence[CellDataset], fields: Path) -> Iterator[dict[str, Any]]:
    """One row for each kind of image."""
    for dataset in datasets:
        files = [dataset.folder / path for path in dataset.table["path"]]
        yield {"images_of": dataset.name, "kind": "single cells", **share(map(pixels_of, files))}
        for cells in LAID_OUT:
            yield {"images_of": dataset.name, "kind": f"{cells} cells", **share(laid_out(files, cells))}
    for white, files in photographs(fields).items():
        kind = f"photographs with {white} white cell(s)"
        yield {"images_of": "bccd_fields", "kind": kind, **share(map(pixels_of, files))}


def main(given: Sequence[str] | None = None) -> None:
    """Measure and write."""
    chosen = arguments(__doc__).parse_args(given)
    if chosen.data is None:
        raise ConfigurationError("Real images are needed: give --data.")
    rows = measured(datasets_of(chosen.data, None), chosen.data / "bccd_fields" / "BCCD")
    write_table(pd.DataFrame(rows), chosen.out / "fields.csv")


if __name__ == "__main__":
    command(main)
