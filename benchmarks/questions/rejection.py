"""How well a model tells cells of no class from the others (`benchmarks/results/taxonomies/rejection.csv`).

    python -m benchmarks.questions.rejection --data ~/wbc --out benchmarks/results/taxonomies

Source models of Barcelona as in `taxonomies.py`, which learned the six classes, or the six and `other` (from its 25 immature
granulocytes and 24 platelets); three seeds. Cells of the six classes against others: of Barcelona, held out from training; of
Jin Woo Choi, blasts and the stages up to metamyelocytes; of BCCD, red cells and platelets, cut from the photographs behind it
(`bccd_fields`). Areas under the ROC curve of the probability of `other`, of the doubt between the six, and of the distance
behind the flag `unlike`; and the shares that `cellda predict` flags. `adapted`: the same after the preset `best` with 5
labelled cells of each class of Jin Woo Choi, `other` being one of them or not. One row per model and set of cells, at most 300
of the six classes and 300 others.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image

from benchmarks.common.options import arguments, command, with_store
from benchmarks.common.results import write_table
from benchmarks.common.source import source_run
from benchmarks.questions.judging import crops, evenly, flagged
from benchmarks.studies.zoo import CELL
from cellda import CellClassifier, Recipe
from cellda.data.image_set import ImageSet
from cellda.data.pixel_cache import cached_pixels
from cellda.datasets import load
from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError
from cellda.evaluation.rejection import auroc, doubts
from cellda.experiment.making import make_ready
from cellda.experiment.stages import held_out_predictions, source_model
from cellda.experiment.workspace import Workspace
from cellda.taxonomies.base import OTHER
from cellda.taxonomies.spec import TaxonomySpec
from cellda.training.loop import Trainer

KEPT = TaxonomySpec.model_validate({"name": "paper6", "other": True})
"""The classes of the cells that are measured."""

LEARNED = {"six": {"name": "paper6"}, "six and other": KEPT.model_dump()}
ADAPTED = "jin_woo_choi"
BOXES = {"RBC": "red blood cell", "Platelets": "platelet"}
SEEDS = (0, 1, 2)


class Cells(NamedTuple):
    """Cells of the six classes, and others.

    Attributes:
        name: What they are.
        parts: Datasets under `KEPT`, and rows of each.
    """

    name: str
    parts: tuple[tuple[CellDataset, Sequence[int]], ...]


def recipe(learned: str, seed: int) -> Recipe:
    """A source model that learned these classes."""
    return CELL.with_(taxonomy=LEARNED[learned], training={"epochs": 10}, seed=seed, adapter="none")


def some(dataset: CellDataset, rows: Sequence[int]) -> list[int]:
    """At most 300 cells of the six classes, and 300 others."""
    other = [row for row in rows if dataset.table["label"][row] == OTHER]
    return [*evenly(sorted(set(rows) - set(other))), *evenly(other)]


def written(fields: Path, folder: Path) -> Path:
    """The boxes of red cells and platelets as files, one folder for each kind."""
    for kind, label in BOXES.items():
        (folder / label).mkdir(parents=True)
        for number, pixels in enumerate(crops(fields, kind)):
            Image.fromarray(pixels).save(folder / label / f"{number:03d}.png")
    return folder


def sets(workspace: Workspace, held: Sequence[str], boxes: Path) -> Iterator[Cells]:
    """What is measured; `held` are the cells of Barcelona that were held out from training."""
    barcelona = workspace.load("barcelona", KEPT)
    out = set(held)
    rows = [row for row, path in enumerate(barcelona.table["path"]) if path in out]
    others = [row for row, label in enumerate(barcelona.table["label"]) if label == OTHER]
    rows += [] if set(rows) & set(others) else others  # nothing was learned of them
    yield Cells("barcelona, held out", ((barcelona, some(barcelona, rows)),))
    choi = workspace.load(ADAPTED, KEPT)
    yield Cells("jin_woo_choi", ((choi, some(choi, range(len(choi)))),))
    bccd, found = workspace.load("bccd", KEPT), load("folder", boxes, taxonomy=KEPT.build())
    real = (bccd, some(bccd, range(len(bccd))))
    for kind, label in BOXES.items():
        of_kind = [row for row, raw in enumerate(found.table["raw_label"]) if raw == label]
        yield Cells(f"bccd, {kind} of its photographs", (real, (found, of_kind)))


def measured(
    model: CellClassifier, cells: Cells, recipe: Recipe, workspace: Workspace, trainer: Trainer
) -> dict[str, Any]:
    """One row."""
    p, far, truth, flags = [], [], [], []
    for dataset, rows in cells.parts:
        pixels = cached_pixels(dataset, recipe.backbone.image_size, workspace.store, recipe.framing)
        images = ImageSet(pixels, torch.tensor(list(rows)), model.normalizer)
        p.append(trainer.probabilities(model, images))
        assert model.seen is not None  # of every model that this version trains
        far.append(model.seen.gaussians.distances(trainer.embeddings(model, images)))
        other = (dataset.table["label"].iloc[list(rows)] == OTHER).to_numpy(dtype=bool)
        truth.append(other)
        for kind in (False, True):
            files = [
                dataset.folder / dataset.table["path"][row]
                for row, is_other in zip(rows, other, strict=True)
                if is_other == kind
            ]
            if files:
                flags.append((kind, flagged(model, files)["any"]))
    probabilities, is_other = torch.cat(p).numpy(), np.concatenate(truth)
    place = model.classes.index(OTHER) if OTHER in model.classes else None
    shares = dict(flags)
    return {
        "cells": int((~is_other).sum()),
        "others": int(is_other.sum()),
        "auroc_other": None if place is None else auroc(probabilities[:, place], is_other),
        "auroc_doubt": auroc(
            doubts(probabilities if place is None else np.delete(probabilities, place, 1)), is_other
        ),
        "auroc_distance": auroc(torch.cat(far).numpy(), is_other),
        "flagged_cells": shares[False],
        "flagged_others": shares[True],
    }


def rows(workspace: Workspace, fields: Path, boxes: Path, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """A row for each model and set of cells."""
    written(fields, boxes)
    for seed in seeds:
        for learned in LEARNED:
            run = source_run(recipe(learned, seed), workspace)
            trainer = Trainer(run.recipe.device)
            make_ready([run], trainer)
            with workspace.display():
                folder = source_model(run, trainer)
            held = held_out_predictions(folder)["path"].tolist()
            model = CellClassifier.load(folder)
            for cells in sets(workspace, held, boxes):
                yield {
                    "model": "source",
                    "learned": learned,
                    "seed": seed,
                    "measured_on": cells.name,
                } | measured(model, cells, run.recipe, workspace, trainer)
            classes = 3 if learned != "six" else 2
            adapted = run.recipe.with_(
                adapter=["full", "second_view", "tta"], few_shot={"n": 5 * classes, "draw": seed}
            )
            result = adapted.run(ADAPTED, workspace.data.root, store=workspace.store)
            choi = workspace.load(ADAPTED, KEPT)
            used = set(result.record.support_files)
            query = [row for row, path in enumerate(choi.table["path"]) if path not in used]
            cells = Cells(f"{ADAPTED}, not labelled", ((choi, some(choi, query)),))
            yield {
                "model": "adapted",
                "learned": learned,
                "seed": seed,
                "measured_on": cells.name,
            } | measured(result.model, cells, run.recipe, workspace, trainer)


def main(given: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = with_store(arguments(__doc__))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    chosen = parser.parse_args(given)
    if chosen.data is None:
        raise ConfigurationError("Real images are needed: give --data.")
    workspace, fields = Workspace(chosen.data, chosen.store), chosen.data / "bccd_fields" / "BCCD"
    with TemporaryDirectory(prefix="cellda-boxes-") as place:
        table = pd.DataFrame(rows(workspace, fields, Path(place) / "boxes", chosen.seeds))
    write_table(table, chosen.out / "rejection.csv")


if __name__ == "__main__":
    command(main)
