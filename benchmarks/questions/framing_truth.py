"""Where the framing `cell` cuts, against cells of known place and size (`benchmarks/results/framing/truth.csv`).

    python -m benchmarks.questions.framing_truth --data ~/wbc --out benchmarks/results/framing

A cell's *true square* is centred on the box around it and `MARGIN` times its longer side. The box comes from the masks of
Jiangxi Tecom, from the scenes of the renderer (ten laboratories), and from the boxes of BCCD's photographs that hold one white
cell. Barcelona and Raabin have neither: there, the true square is that of the nucleus in the whole image, of images whose
nucleus lies in the middle and has a usual size, and what is measured is whether crops get the same square.

Each set is framed as it is, and as a set of crops: `tight` (1.0 to 1.2 times the longer side of the cell), `inside` (0.75 to
0.95 times: the nucleus and little more), `loose` (1.6 to 2.2 times) and `off_centre` (2 times, the cell anywhere in it). No
label is used. Images that are shown whole have no square to compare; they are counted (`whole`). One row per set, with:

    iou, iou_5th     intersection over union of square and true square: median, 5th percentile
    cut_inside       share of images whose square leaves out more than a tenth of the visible nucleus
    too_large        share of squares larger than the image, where the true one is not
    whole            share of images that are shown whole
    size, size_95th  side of the square by that of the true one: median, and 95th percentile of its deviation as a factor
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from benchmarks.common.options import arguments, command
from benchmarks.common.results import write_table
from benchmarks.common.sampling import balanced_sample
from benchmarks.figures.framing import CELL, NUCLEUS, fitted, own_size, resized
from cellda.data.root import DataRoot
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.decode import decode
from cellda.datasets.rendering import DOMAINS, CellKey, draw_scene, render
from cellda.errors import ConfigurationError
from cellda.framing.base import Box, Pixels
from cellda.framing.cell import find_nucleus
from cellda.imaging.nucleus import Mask
from cellda.taxonomies import DEFAULT, create

CLASSES = create(DEFAULT).classes
MARGIN = 2 / 1.41
"""Side of the true square in longer sides of the cell: two diameters of the nucleus, which has 1 / 1.41 of that side in the
median over Jiangxi Tecom."""
LEFT_OUT = 0.1
USUAL = 1.35
"""Largest factor between a nucleus and the median of its dataset, for the whole image to be a reference."""
MIDDLE = 0.12
"""Largest distance of its centre from that of the image, in shorter sides."""
RENDERED, SIDE = 10, 192
"""Cells of each class and laboratory, and their side in pixels."""

Square = tuple[float, float, float]
"""Centre `x`, `y` and side in pixels."""


@dataclass(frozen=True, eq=False)
class Known:
    """An image with its true square.

    Attributes:
        image: The image.
        square: The true square.
        nucleus: `(H, W)`, true where its nucleus is; None if that is not known.
    """

    image: Pixels
    square: Square
    nucleus: Mask | None

    @property
    def cell(self) -> float:
        """Longer side of the cell in pixels."""
        return self.square[2] / MARGIN

    def cropped(self, side: float, shift: tuple[float, float]) -> "Known":
        """The part inside a square of this side, whose centre is shifted from the cell's; the image's border limits it."""
        height, width = self.image.shape[:2]
        x, y, true = self.square
        left, top = (
            max(0, round(place + moved - side / 2)) for place, moved in zip((x, y), shift, strict=True)
        )
        right, bottom = min(width, left + round(side)), min(height, top + round(side))
        part = (slice(top, bottom), slice(left, right))
        nucleus = None if self.nucleus is None else self.nucleus[part]
        return Known(np.ascontiguousarray(self.image[part]), (x - left, y - top, true), nucleus)


def around(mask: Mask) -> Square:
    """The true square of a cell's mask."""
    y, x = np.nonzero(mask)
    left, top, right, bottom = x.min(), y.min(), x.max() + 1, y.max() + 1
    return (left + right) / 2, (top + bottom) / 2, MARGIN * max(right - left, bottom - top)


def with_masks(dataset: CellDataset) -> Iterator[Known]:
    """The cells of Jiangxi Tecom."""
    for row, path in enumerate(dataset.table["path"]):
        mask = np.asarray(Image.open((dataset.folder / path).with_suffix(".png")).convert("L"))
        yield Known(own_size(dataset, row), around(mask >= CELL), mask == NUCLEUS)


def by_nucleus(dataset: CellDataset, rows: Sequence[int]) -> Iterator[Known]:
    """Cells whose nucleus is beyond doubt in the whole image."""
    images = [own_size(dataset, row) for row in rows]
    nuclei = [find_nucleus(image) for image in images]
    usual = float(np.median([nucleus.diameter for nucleus in nuclei if nucleus is not None]))
    for image, nucleus in zip(images, nuclei, strict=True):
        if nucleus is None:
            continue
        height, width = image.shape[:2]
        away = np.hypot(nucleus.centre[0] - width / 2, nucleus.centre[1] - height / 2)
        if away < MIDDLE * min(height, width) and usual / USUAL < nucleus.diameter < usual * USUAL:
            yield Known(image, (*nucleus.centre, 2 * nucleus.diameter), resized(nucleus.mask, image))


def rendered(laboratory: int) -> Iterator[Known]:
    """Cells of the renderer."""
    keys = [
        CellKey(label, number, f"truth|{laboratory}")
        for label in range(len(CLASSES))
        for number in range(RENDERED)
    ]
    scene = draw_scene(keys, DOMAINS[laboratory], SIDE)
    images = render(keys, DOMAINS[laboratory], SIDE).permute(0, 2, 3, 1).contiguous().numpy()
    for image, cell, nucleus in zip(images, scene.cell.numpy(), scene.nucleus.numpy(), strict=True):
        yield Known(image, around(cell > 0.5), nucleus > 0.5)


def photographs(folder: Path) -> Iterator[Known]:
    """Photographs with one white cell, by its box."""
    for file in sorted((folder / "Annotations").glob("*.xml")):
        marked = [one for one in ElementTree.parse(file).iter("object") if one.findtext("name") == "WBC"]
        if len(marked) == 1:
            sides = [
                int(str(marked[0].findtext(f"bndbox/{name}"))) for name in ("xmin", "ymin", "xmax", "ymax")
            ]
            left, top, right, bottom = sides
            image = decode(folder / "JPEGImages" / f"{file.stem}.jpg").permute(1, 2, 0).contiguous().numpy()
            square = (left + right) / 2, (top + bottom) / 2, MARGIN * max(right - left, bottom - top)
            yield Known(image, square, None)


def tight(cell: Known, random: np.random.Generator) -> Known:
    """Little more than the cell."""
    return cell.cropped(random.uniform(1.0, 1.2) * cell.cell, (0, 0))


def inside(cell: Known, random: np.random.Generator) -> Known:
    """Less than the cell."""
    return cell.cropped(random.uniform(0.75, 0.95) * cell.cell, (0, 0))


def loose(cell: Known, random: np.random.Generator) -> Known:
    """The cell and a margin."""
    return cell.cropped(random.uniform(1.6, 2.2) * cell.cell, (0, 0))


def off_centre(cell: Known, random: np.random.Generator) -> Known:
    """The cell anywhere in the frame."""
    x, y = random.uniform(-0.45, 0.45, 2) * cell.cell
    return cell.cropped(2 * cell.cell, (x, y))


CROPS: dict[str, Callable[[Known, np.random.Generator], Known]] = {
    "whole": lambda cell, _random: cell,
    "tight": tight,
    "inside": inside,
    "loose": loose,
    "off_centre": off_centre,
}


def boxes(images: Sequence[Pixels]) -> list[Box]:
    """What the framing shows of the images of one dataset."""
    framing = fitted(images)
    return [framing.box(image) or (0, 0, image.shape[1], image.shape[0]) for image in images]


def fit(cell: Known, box: Box) -> dict[str, float]:
    """How well a square fits the true one."""
    x, y, side = cell.square
    true = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2])
    left, top, width, height = box
    shown = np.array([left, top, left + width, top + height])
    common = (np.minimum(true[2:], shown[2:]) - np.maximum(true[:2], shown[:2])).clip(min=0).prod()
    longer = max(cell.image.shape[:2])
    found = {
        "iou": common / (side**2 + width * height - common),
        "too_large": float(max(width, height) > longer and side <= longer),
        "whole": float((left, top, width, height) == (0, 0, *cell.image.shape[1::-1])),
        "size": np.sqrt(width * height) / side,
    }
    if cell.nucleus is None or not cell.nucleus.any():
        return found
    seen = cell.nucleus[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    return {**found, "cut_inside": float(seen.sum() < (1 - LEFT_OUT) * cell.nucleus.sum())}


def measured(cells: Sequence[Known]) -> dict[str, Any]:
    """One row of the table."""
    fits = pd.DataFrame(
        [fit(cell, box) for cell, box in zip(cells, boxes([cell.image for cell in cells]), strict=True)]
    )
    off: npt.NDArray[np.float64] = np.abs(np.log(fits["size"].to_numpy()))
    return {
        "images": len(cells),
        "iou": fits["iou"].median(),
        "iou_5th": fits["iou"].quantile(0.05),
        "cut_inside": fits["cut_inside"].mean() if "cut_inside" in fits else np.nan,
        "too_large": fits["too_large"].mean(),
        "whole": fits["whole"].mean(),
        "size": fits["size"].median(),
        "size_95th": float(np.exp(np.quantile(off, 0.95))),
    }


def sets(data: Path | None, most: int) -> Iterator[tuple[str, list[Known]]]:
    """The sets of whole images."""
    if data is not None:
        root = DataRoot(data)
        yield "jiangxi_tecom", list(with_masks(root.load("jiangxi_tecom")))
        for name in ("barcelona", "raabin"):
            dataset = root.load(name)
            yield name, list(by_nucleus(dataset, balanced_sample(list(dataset.table["label"]), most)))
        yield "bccd_fields", list(photographs(data / "bccd_fields" / "BCCD"))
    for laboratory in range(len(DOMAINS)):
        yield f"synthetic/{laboratory}", list(rendered(laboratory))


def main(given: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = arguments(__doc__)
    parser.add_argument("--cells", type=int, default=300, help="cells of Barcelona and Raabin (default: 300)")
    parser.add_argument("--name", default="truth", help="name of the table (default: truth)")
    chosen = parser.parse_args(given)
    if chosen.data is not None and not chosen.data.is_dir():
        raise ConfigurationError(f"There is no folder {chosen.data}.")
    rows = []
    for name, cells in sets(chosen.data, chosen.cells):
        for crop, cropped in CROPS.items():
            random = np.random.default_rng(zlib.crc32(f"{name} {crop}".encode()))
            rows.append({"set": name, "crop": crop, **measured([cropped(cell, random) for cell in cells])})
    write_table(pd.DataFrame(rows), chosen.out / f"{chosen.name}.csv")


if __name__ == "__main__":
    command(main)
