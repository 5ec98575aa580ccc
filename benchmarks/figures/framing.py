"""What the framing `cell` crops, as pictures, and how well it fits (`benchmarks/results/framing/`).

    python -m benchmarks.figures.framing --data ~/wbc --out figures

For every dataset, `framing_<dataset>.png` shows cells with the outline of the nucleus that was found and the square around
it, and the crop below each; red means that no cell was found and the whole image is used. `framing.csv` counts those, and
gives position and size of nuclei: with framing, both are the same everywhere. `framing_masks.csv` compares nuclei and squares
with the masks of Jiangxi Tecom (if it is in `--data`): intersection over union of the nucleus, of the square with the box
around the cell, and how much of that box the square shows. Needs no model and no store: a minute for a few hundred cells each.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from torch import Tensor, from_numpy

from benchmarks.common.datasets import datasets_of, title_of
from benchmarks.common.options import arguments, command
from benchmarks.common.results import write_table
from benchmarks.common.sampling import balanced_sample
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.decode import decode
from cellda.framing.base import Framing, Pixels
from cellda.framing.cell import Nucleus, find_nucleus
from cellda.framing.spec import FramingSpec
from cellda.imaging.nucleus import Mask
from cellda.reporting.figures import contact_sheet, save_figure

SHOWN, COLUMNS, SIDE, DRAWN = 36, 12, 160, 256
NUCLEUS, CELL = 255, 128
"""Grey levels of Jiangxi Tecom's masks; the cell is all of it, the nucleus 255."""


def own_size(dataset: CellDataset, row: int) -> Pixels:
    """A cell as the framing sees it: decoded, not resized."""
    if dataset.synthetic:
        image = dataset.read([row], DRAWN)[0]
    else:
        image = decode(dataset.folder / dataset.table["path"][row], dataset.table["box"][row])
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def outlined(image: Pixels, nucleus: Nucleus, framing: Framing) -> Image.Image:
    """The image with the nucleus and the square drawn in."""
    mask = resized(nucleus.mask, image)
    inner = mask & np.roll(mask, 1, 0) & np.roll(mask, -1, 0) & np.roll(mask, 1, 1) & np.roll(mask, -1, 1)
    shown = image.copy()
    shown[mask & ~inner] = (255, 255, 0)
    picture = Image.fromarray(shown)
    box = framing.box(image)
    if box is not None:
        x, y, width, height = box
        line = max(1, max(picture.size) // 80)
        ImageDraw.Draw(picture).rectangle((x, y, x + width, y + height), outline=(0, 150, 0), width=line)
    return picture


def resized(mask: Mask, image: Pixels) -> Mask:
    """The mask of a small copy, resized to the image."""
    return np.asarray(Image.fromarray(mask).resize((image.shape[1], image.shape[0])))


def picture_rows(images: Sequence[Pixels], framing: Framing) -> list[Tensor]:
    """For every `COLUMNS` images, a row with the squares and a row with the crops."""
    rows = []
    for start in range(0, len(images), COLUMNS):
        part = images[start : start + COLUMNS]
        before, after = [], []
        for image in part:
            nucleus = find_nucleus(image)
            plain = Image.new("RGB", (SIDE, SIDE), "red") if nucleus is None else None
            drawn = Image.fromarray(image) if nucleus is None else outlined(image, nucleus, framing)
            before.append(np.asarray(drawn.resize((SIDE, SIDE))))
            after.append(framing.frame(image, SIDE)[0] if plain is None else np.asarray(plain))
        rows += [from_numpy(np.stack(one)).permute(0, 3, 1, 2) for one in (before, after)]
    return rows


def found_in(dataset: CellDataset, images: Sequence[Pixels]) -> dict[str, object]:
    """How often a cell was found, and the spread of positions and sizes that framing removes."""
    nuclei = [find_nucleus(image) for image in images]
    places = [
        (
            np.hypot(nucleus.centre[0] - image.shape[1] / 2, nucleus.centre[1] - image.shape[0] / 2)
            / min(image.shape[:2]),
            nucleus.diameter / min(image.shape[:2]),
        )
        for image, nucleus in zip(images, nuclei, strict=True)
        if nucleus is not None
    ]
    away, size = np.array(places).reshape(-1, 2).T
    return {
        "dataset": dataset.full_name,
        "cells": len(images),
        "shown_whole": sum(nucleus is None for nucleus in nuclei),
        "away_from_centre": float(np.mean(away)),
        "nucleus_of_frame": float(np.median(size)),
        "nucleus_5th": float(np.quantile(size, 0.05)),
        "nucleus_95th": float(np.quantile(size, 0.95)),
    }


def against_masks(dataset: CellDataset, framing: Framing) -> pd.DataFrame:
    """One row per cell of Jiangxi Tecom: label, and how well nucleus and square fit the published mask."""
    rows = []
    for row in range(len(dataset)):
        image, path = own_size(dataset, row), dataset.folder / dataset.table["path"][row]
        mask = np.asarray(Image.open(path.with_suffix(".png")).convert("L"))
        nucleus, box = find_nucleus(image), framing.box(image)
        true = mask == NUCLEUS
        found = np.zeros_like(true) if nucleus is None else resized(nucleus.mask, image)
        y, x = np.nonzero(mask >= CELL)
        around = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
        left, top, width, height = (0, 0, image.shape[1], image.shape[0]) if box is None else box
        square = np.array([left, top, left + width, top + height])
        sides = np.minimum(square[2:], around[2:]) - np.maximum(square[:2], around[:2])
        common, area = sides.clip(min=0).prod(), (around[2:] - around[:2]).prod()
        rows.append(
            {
                "label": dataset.table["label"][row],
                "nucleus_iou": (found & true).sum() / (found | true).sum(),
                "square_iou": common / (area + width * height - common),
                "cell_shown": common / area,
            }
        )
    return pd.DataFrame(rows)


def fitted(images: Sequence[Pixels]) -> Framing:
    """The framing by the scale of these images."""
    spec = FramingSpec(name="cell")
    return spec.fitted([spec.build().measure(image) for image in images]).build()


def main(given: Sequence[str] | None = None) -> None:
    """Draw the pictures and measure."""
    parser = arguments(__doc__)
    parser.add_argument("--datasets", nargs="+", help="datasets to show (default: all in --data)")
    parser.add_argument("--cells", type=int, default=300, help="cells of each dataset (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="which cells (default: 0)")
    chosen = parser.parse_args(given)
    found = []
    for dataset in datasets_of(chosen.data, chosen.datasets):
        labels = list(dataset.table["label"])
        rows = balanced_sample(labels, chosen.cells, chosen.seed)
        images = [own_size(dataset, row) for row in rows]
        framing = fitted(images)
        shown = [own_size(dataset, row) for row in balanced_sample(labels, SHOWN, chosen.seed)]
        pictures = picture_rows(shown, framing)
        titles = ["found", "cut"] * (len(pictures) // 2)
        file = chosen.out / f"framing_{dataset.full_name.replace('/', '_')}.png"
        print(save_figure(contact_sheet(pictures, titles, title=title_of(dataset)), file, dpi=100))
        found.append(found_in(dataset, images))
        if dataset.name == "jiangxi_tecom":
            fits = against_masks(dataset, framing)
            by_class = fits.groupby("label").mean().reset_index()
            by_class.insert(1, "cells", fits.groupby("label").size().to_numpy())
            every = {"label": "all", "cells": len(fits), **fits.drop(columns="label").mean().to_dict()}
            write_table(pd.concat([by_class, pd.DataFrame([every])]), chosen.out / "framing_masks.csv")
    write_table(pd.DataFrame(found), chosen.out / "framing.csv")


if __name__ == "__main__":
    command(main)
