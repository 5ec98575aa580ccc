"""Six, eight and thirteen classes (`benchmarks/results/taxonomies/`).

    python -m benchmarks.questions.taxonomies --data ~/wbc

A source model of Barcelona for each of the taxonomies `paper6`, `wbc8` and `wbc13` and three seeds: framed cells at 96 px,
stains varied, 10 epochs; otherwise preset `laptop`, protocol `clean`. Three parts:

- `within`: the fifth of Barcelona that each model was not trained on, in the model's own classes, and in six by sums;
- `six`: do finer classes help the six? Jiangxi Tecom (21 labelled cells), Jin Woo Choi (20), Raabin (100) and BCCD (100) in
  the six classes, by models that learned six, eight or thirteen: the source model as it is, and the preset `best`;
- `fine`: five labelled cells of each class of Jin Woo Choi, in six, eight and thirteen classes (it holds 2, 3 and 7 of them).

Five draws, each on one source seed (draws 3 and 4 on the first two again). Conditions end in the classes that the source model
learned. Finished runs stay in the store: fill it in parts with `--only-run`, then make the tables with a call without it.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common.options import command, command_line, with_store
from benchmarks.common.results import RESULTS, write_table
from benchmarks.common.source import source_run
from benchmarks.common.study import GRID
from benchmarks.studies.first_light import TARGETS
from benchmarks.studies.zoo import CELL
from cellda import Recipe
from cellda.evaluation.maturation import stage_distance
from cellda.evaluation.predictions import (
    classes_of,
    probabilities,
    probability_columns,
    write_predictions,
)
from cellda.experiment.making import make_ready
from cellda.experiment.stages import held_out_predictions, source_model
from cellda.experiment.study import Study
from cellda.experiment.workspace import Workspace
from cellda.presets import CAP
from cellda.reporting.tables.conditions import scores
from cellda.taxonomies import create
from cellda.taxonomies.base import sums
from cellda.taxonomies.maturation import stages_apart
from cellda.training.loop import Trainer

TAXONOMIES = {"six": "paper6", "eight": "wbc8", "thirteen": "wbc13"}
RUNS = ((0, 0), (1, 1), (2, 2), (3, 0), (4, 1))
"""Draws, each with its source seed."""

FINE = "jin_woo_choi"
HELD_BY_FINE = {"six": 2, "eight": 3, "thirteen": 7}
"""Number of classes of Jin Woo Choi."""

ADAPTERS: dict[str, Any] = {
    "none": "none",
    "head_only": "head_only",
    "full": "full",
    "full+second_view+tta": ["full", "second_view", "tta"],
}
IN_SIX = ("none", "full+second_view+tta")
MEASURED = ("accuracy", "balanced_accuracy", "macro_f1")


def recipe(learned: str, answered: str) -> Recipe:
    """A source model that learned some classes, and answers in the same or in coarser ones."""
    finer = None if learned == answered else TAXONOMIES[learned]
    return CELL.with_(taxonomy=TAXONOMIES[answered], training={"epochs": 10, "taxonomy": finer})


def within(given: argparse.Namespace, workspace: Workspace) -> dict[str, list[pd.DataFrame]]:
    """Predictions of Barcelona's held-out cells, by the classes that they are answered in."""
    found: dict[str, list[pd.DataFrame]] = {}
    for learned in given.learned:
        for seed in given.seeds:
            run = source_run(recipe(learned, learned).with_(seed=seed), workspace)
            trainer = Trainer(run.recipe.device)
            make_ready([run], trainer)
            with workspace.display():
                rows = held_out_predictions(source_model(run, trainer))
            named = rows.assign(condition=f"source, learned {learned}")
            found.setdefault(learned, []).append(named)
            if learned != "six":
                found.setdefault("six", []).append(in_sums(named, "six"))
    return found


def in_sums(predictions: pd.DataFrame, answered: str) -> pd.DataFrame:
    """The predictions of cells of coarser classes, which have the sum of the probabilities of their kinds."""
    taxonomy, classes = create(TAXONOMIES[answered]), classes_of(predictions)
    parts = sums(taxonomy, classes)
    assert parts is not None  # of the taxonomies compared here, the finer ones are kinds of the six
    labels = predictions["label"].map(taxonomy.fold)
    rows = predictions[labels.notna()]
    # Of a cell to which the model gives none of the classes, all are equally probable.
    q = np.stack([probabilities(rows)[:, list(part)].sum(1) for part in parts], axis=1) + 1e-9
    q /= q.sum(1, keepdims=True)
    rows = rows.drop(columns=list(probability_columns(classes)))
    rows = rows.assign(label=labels[labels.notna()], predicted=np.array(taxonomy.classes)[q.argmax(1)])
    return rows.assign(**dict(zip(probability_columns(taxonomy.classes), q.T, strict=True)))


def studies(given: argparse.Namespace, workspace: Workspace) -> Iterator[tuple[str, Study]]:
    """Each study, with the part that it belongs to and the classes that it answers in."""
    for draw, seed in RUNS:
        if seed not in given.seeds:
            continue
        for target in TARGETS if "six" in given.parts else ():
            recipes = {
                f"{name}, learned {learned}": recipe(learned, "six").with_(adapter=ADAPTERS[name])
                for learned in given.learned
                for name in IN_SIX
            }
            yield "six", Study(recipes, [target], (draw,), (seed,), CAP, workspace=workspace)
        for answered in given.learned if "fine" in given.parts else ():
            recipes = {
                f"{name}, learned {answered}, 5 each": recipe(answered, answered).with_(adapter=adapter)
                for name, adapter in ADAPTERS.items()
                if name != "none" or answered != "six"
            }
            n = {FINE: 5 * HELD_BY_FINE[answered]}
            yield answered, Study(recipes, [FINE], (draw,), (seed,), CAP, n, workspace=workspace)


def by_one(predictions: pd.DataFrame) -> float:
    """Share of the wrong cells that were taken for the next stage."""
    wrong = predictions[predictions["label"] != predictions["predicted"]]
    return sum(
        stages_apart(*pair) == 1 for pair in zip(wrong["label"], wrong["predicted"], strict=True)
    ) / len(wrong)


def table_of(predictions: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Means and standard deviations over draws, one row per classes, target and condition."""
    rows = []
    for answered, table in predictions.items():
        for (target, condition), part in table.groupby(["target", "condition"], sort=False):
            measured = scores(part, resamples=0)
            distances = [stage_distance(run) for _, run in part.groupby(["draw", "seed"])]
            known = [one for one in distances if one is not None]
            rows.append(
                {
                    "answered": answered,
                    "target": target,
                    "condition": condition,
                    "labels": int(part["labels_used"].max()),
                    "runs": len(measured),
                    "classes": part["label"].nunique(),
                    **{name: measured[name].mean() for name in MEASURED},
                    **{f"{name}_sd": measured[name].std() for name in MEASURED},
                    "stages_apart": sum(one.mean for one in known) / len(known) if known else None,
                    "near": sum(one.near for one in known) / len(known) if known else None,
                    "wrong_by_one": by_one(part) if known else None,
                }
            )
    return pd.DataFrame(rows)


def main(given: Sequence[str] | None = None) -> None:
    """Run what the command line names; without `--only-run`, write the predictions and the table."""
    parser = with_store(command_line(__doc__))
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that holds one folder per dataset name"
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "taxonomies", help="folder of the results")
    parser.add_argument(
        "--parts", nargs="+", default=["within", "six", "fine"], choices=["within", "six", "fine"]
    )
    parser.add_argument("--learned", nargs="+", default=list(TAXONOMIES), choices=TAXONOMIES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], choices=[0, 1, 2])
    parser.add_argument("--only-run", action="store_true", help="fill the store, write no results")
    chosen = parser.parse_args(given)
    workspace = Workspace(chosen.data, chosen.store)
    found = within(chosen, workspace) if "within" in chosen.parts else {}
    for answered, study in studies(chosen, workspace):
        found.setdefault(answered, []).append(study.run())
    if chosen.only_run:
        return
    tables = {}
    for answered, parts in found.items():
        table = pd.concat(parts, ignore_index=True)
        columns = list(probability_columns(classes_of(table)))
        table[columns] = (table[columns] * GRID).round() / GRID
        tables[answered] = table
        write_predictions(table, chosen.out / f"{answered}.parquet")
    write_table(table_of(tables), chosen.out / "taxonomies.csv")


if __name__ == "__main__":
    command(main)
