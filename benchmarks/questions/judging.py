"""How often `predict` flags real cells, and how often what is no white cell (`benchmarks/results/judging/`).

    python -m benchmarks.questions.judging --data ~/wbc --out benchmarks/results/judging

Preset `laptop`, source Barcelona, draw 0: the source model as it is (`no_fine_tune`), and adapted to each target with its
support (`our_workflow`). Real cells: those of the source that were held out, and the query cells of the target, at most 300
each. No cells: red cells and platelets, cut from the photographs behind BCCD (`bccd_fields`, boxes of Pascal VOC), whole
photographs, and what is made here: empty smears, noise, one colour, and fields of forty cells at 3000 x 2000 pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from benchmarks.common.options import arguments, command, with_store
from benchmarks.common.results import write_table
from cellda import CellClassifier, Recipe
from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError
from cellda.experiment.run import Run
from cellda.experiment.stages import held_out_predictions, source_model
from cellda.experiment.workspace import Workspace
from cellda.models.inputs import pictures
from cellda.models.judged import Flag
from cellda.models.results import results
from cellda.training.loop import Trainer

TARGETS = ("raabin", "jiangxi_tecom", "bccd", "jin_woo_choi")
CONDITIONS = ("no_fine_tune", "our_workflow")
BASE = Recipe.preset("laptop").with_(sources=["barcelona"])
MOST = 300
FIELDS = 10
SEED = 0

Pixels = npt.NDArray[np.uint8]


def evenly(items: Sequence[Any], most: int = MOST) -> list[Any]:
    """At most so many of them, evenly spread."""
    return (
        [items[place] for place in np.unique(np.linspace(0, len(items) - 1, most).astype(int))]
        if len(items)
        else []
    )


def files_of(dataset: CellDataset, paths: Sequence[str]) -> list[Path]:
    """Some of a dataset's files."""
    return [dataset.folder / path for path in evenly(paths)]


def crops(fields: Path, kind: str) -> list[Pixels]:
    """Boxes of one kind in the photographs behind BCCD, one of each photograph."""
    found = []
    for file in sorted((fields / "Annotations").glob("*.xml")):
        for marked in ElementTree.parse(file).getroot().iter("object"):
            box = [int(marked.findtext(f"bndbox/{side}") or 0) for side in ("xmin", "ymin", "xmax", "ymax")]
            if marked.findtext("name") == kind and box[2] - box[0] >= 16 and box[3] - box[1] >= 16:
                image = Image.open(fields / "JPEGImages" / f"{file.stem}.jpg").convert("RGB")
                found.append(np.asarray(image.crop((box[0], box[1], box[2], box[3]))))
                break
    return evenly(found)


def made() -> dict[str, list[Pixels]]:
    """Images that show nothing."""
    random = np.random.default_rng(SEED)
    sides = (60, 120, 240, 360)
    colours = ((225, 205, 215), (240, 240, 240), (200, 180, 200), (235, 215, 205))
    return {
        "one colour": [
            np.full((side, side, 3), colour, np.uint8) for side in (1, *sides) for colour in (0, 128, 255)
        ],
        "noise": [
            random.integers(0, 256, (side, side, 3)).astype(np.uint8) for side in sides for _ in range(5)
        ],
        "empty smear": [
            np.clip(random.normal(colour, 4, (side, side, 3)), 0, 255).astype(np.uint8)
            for side in sides
            for colour in colours
        ],
    }


def fields_of(files: Sequence[Path]) -> Iterator[Pixels]:
    """Fields of forty cells each, at 3000 x 2000 pixels."""
    random = np.random.default_rng(SEED)
    for _ in range(FIELDS):
        field = np.full((2000, 3000, 3), (225, 205, 215), np.uint8)
        for number, file in enumerate(random.choice(np.array(files, dtype=object), 40)):
            y, x = 60 + 390 * (number // 8), 50 + 365 * (number % 8)
            field[y : y + 250, x : x + 250] = np.asarray(Image.open(file).convert("RGB").resize((250, 250)))
        yield field


def flagged(model: CellClassifier, images: Any) -> dict[str, float]:
    """Share of images with each flag, and with any."""
    found = [
        result.flag.split("+") for block in results(model.network(), pictures(images)) for result in block
    ]
    shares = {flag.value: sum(flag in flags for flags in found) / len(found) for flag in Flag}
    return {"images": len(found), "any": sum(flags != [""] for flags in found) / len(found), **shares}


def measured(run: Run, model: CellClassifier, held: list[Path], fields: Path) -> Iterator[dict[str, Any]]:
    """One row for each kind of image."""
    cells = files_of(run.target, [run.target.table["path"].iloc[row] for row in run.scored])
    kinds: dict[str, tuple[bool, Callable[[], Any]]] = {
        "held-out source cells": (True, lambda: held),
        "query cells": (True, lambda: cells),
        "red cells": (False, lambda: crops(fields, "RBC")),
        "platelets": (False, lambda: crops(fields, "Platelets")),
        "whole photographs": (False, lambda: evenly(sorted((fields / "JPEGImages").glob("*.jpg")), 100)),
        "fields of forty cells": (False, lambda: fields_of(cells)),
        **{name: (False, lambda images=images: images) for name, images in made().items()},  # type: ignore[misc]
    }
    ranges = model.seen.ranges if model.seen else None
    for kind, (cell, images) in kinds.items():
        stated = ranges.rate if ranges else float("nan")
        yield {"kind": kind, "cell": cell, "stated_rate": stated, **flagged(model, images())}


def main(given: Sequence[str] | None = None) -> None:
    """Measure and write."""
    chosen = with_store(arguments(__doc__)).parse_args(given)
    if chosen.data is None:
        raise ConfigurationError("Real images are needed: give --data.")
    rows = []
    for target in TARGETS:
        for condition in CONDITIONS:
            run = Run.prepare(BASE.with_preset(condition), target, Workspace(chosen.data, chosen.store))
            model = run.recipe.run(target, chosen.data, store=chosen.store).model
            held = held_out_predictions(source_model(run, Trainer(run.recipe.device)))["path"].tolist()
            fields = chosen.data / "bccd_fields" / "BCCD"
            for row in measured(run, model, files_of(run.sources[0], held), fields):
                rows.append({"target": target, "condition": condition, **row})
    write_table(pd.DataFrame(rows), chosen.out / "flags.csv")


if __name__ == "__main__":
    command(main)
