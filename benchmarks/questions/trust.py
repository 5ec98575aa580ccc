"""Whether what a person is told can be trusted: runs of the recommended recipe (`benchmarks/results/trust/`).

    python -m benchmarks.questions.trust --data ~/wbc
    python -m benchmarks.questions.trust_tables

Targets Jiangxi Tecom, Jin Woo Choi, Raabin, BCCD, each left out of the sources of the released pool (`releases.py`); preset
`best`; protocol `clean`; three draws, one source seed. `balanced`: the published number of labelled cells (21, 20, 100, 100),
the same of each class. `random`: 60 cells at random, as a laboratory meets them. Every run stores its predictions of the
query (`predictions.parquet`), and those of its labelled cells by cross-validation (`cross_validation.parquet`), both before
any calibration. `without_labels.parquet`: the preset `best_without_labels`, calibrated. `trust_tables` computes from them
what is promised and what is kept: no query label is used by what it measures. To run it in parts, over several sessions:
`--targets raabin --only-run`.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmarks.common.left_out import without
from benchmarks.common.options import command, command_line, with_store
from benchmarks.common.releases import POOLED, TARGETS
from benchmarks.common.results import RESULTS
from benchmarks.common.study import GRID
from cellda import Recipe
from cellda.evaluation.predictions import classes_of, probability_columns, write_predictions
from cellda.experiment.making import make, make_ready
from cellda.experiment.run import Run
from cellda.experiment.workspace import Workspace
from cellda.training.loop import Trainer

BEST = POOLED.with_(adapter=["full", "second_view", "tta"])
DRAWS = {
    "balanced": BEST,
    "random": BEST.with_(few_shot={"kind": "random", "n": 60}),
}
WITHOUT_LABELS = POOLED.with_(adapter=[{"name": "lame", "neighbours": 20}, "tta"], calibration="temperature")
"""The preset `best_without_labels`."""
FREE = "without_labels"
NUMBER = 3
OUT = RESULTS / "trust"


def recipes(target: str, number: int) -> Iterator[tuple[str, Recipe]]:
    """The recipes of one target, by the name of their condition."""
    for name, recipe in {**DRAWS, FREE: WITHOUT_LABELS}.items():
        left = without(recipe, target)
        assert left is not None
        for draw in range(number):
            yield name, left.with_(few_shot={"draw": draw})


def main() -> None:
    """Run what the command line names, and store the predictions."""
    parser = with_store(command_line(__doc__))
    parser.add_argument("--data", type=Path, help="folder that holds one folder per dataset name")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the results")
    parser.add_argument("--targets", nargs="+", default=TARGETS, help="which targets")
    parser.add_argument("--draws", type=int, default=NUMBER, help="number of draws")
    parser.add_argument("--only-run", action="store_true", help="fill the store, write no results")
    given = parser.parse_args()
    workspace, trainer = Workspace(given.data, given.store), Trainer("auto")
    found: dict[str, list[pd.DataFrame]] = {"predictions": [], "cross_validation": [], FREE: []}
    for target in given.targets:
        for name, recipe in recipes(target, given.draws):
            run = replace(Run.prepare(recipe, target, workspace), measured=name != FREE)
            make_ready([run] if run.finished() is None else [], trainer)
            with workspace.display():
                result = make(run, trainer, keep_model=False)
            held = result.cross_validation
            if held is None:
                found[FREE].append(result.predictions)
                continue
            found["predictions"].append(result.predictions.assign(condition=name))
            found["cross_validation"].append(held.assign(condition=name))
    if given.only_run:
        return
    given.out.mkdir(parents=True, exist_ok=True)
    for file, tables in found.items():
        table = pd.concat(tables, ignore_index=True)
        columns = list(probability_columns(classes_of(table)))
        coarse = (table[columns] * GRID).round() / GRID
        write_predictions(table.assign(**coarse), given.out / f"{file}.parquet")


if __name__ == "__main__":
    command(main)
