"""What suggested cells are worth to the whole adaptation (`benchmarks/results/suggest/`).

    python -m benchmarks.questions.suggest_adapted --data ~/wbc --store STORE

As `benchmarks.questions.suggest`, with the adapters of the preset `best` instead of a logistic regression: random cells and
suggested ones, all asked for at once, adapt the source model; the query half is predicted. Finished runs are in the store, so
that a long call may be interrupted, and made in parts (`--targets`, `--only-run`). Writes `predictions.parquet`, `adapted.csv`
and `adapted_summary.csv`.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from benchmarks.common.halves import halves_of
from benchmarks.common.options import command, command_line, on_targets
from benchmarks.common.releases import POOLED, TARGETS
from benchmarks.common.results import RESULTS, write_table
from benchmarks.common.study import GRID
from benchmarks.questions.suggest import RANDOM, difference
from cellda.evaluation.predictions import classes_of, probability_columns, write_predictions
from cellda.experiment.making import make, make_ready
from cellda.experiment.workspace import Workspace
from cellda.presets import adaptation_of
from cellda.reporting.tables.conditions import scores
from cellda.suggestion import suggesters
from cellda.training.loop import Trainer

CONDITIONS = ("schedule_40", "random_40", "random_80")
"""`<suggester>_<number of labels>`, in the order in which they are made."""


def predictions(
    target: str, draws: Sequence[int], conditions: Sequence[str], workspace: Workspace
) -> Iterator[pd.DataFrame]:
    """The predictions of every run on one target."""
    trainer, adapter = Trainer(POOLED.device), adaptation_of("best")["adapter"]
    for halves in halves_of(POOLED, target, draws, workspace):
        for condition in conditions:
            name, _, number = condition.rpartition("_")
            places = halves.chosen(suggesters.create(name), [int(number)], halves.run.draw.draw)
            run = halves.supported(places, adapter)
            make_ready([run] if run.finished() is None else [], trainer)
            with workspace.display():
                yield make(run, trainer, keep_model=False).predictions.assign(condition=condition)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Every condition against random cells: as many, and all others."""
    randoms = [name for name in dict.fromkeys(table["condition"]) if name.startswith(RANDOM)]
    return pd.concat(
        [
            difference(table, baseline, measure)
            for baseline in randoms
            for measure in ("accuracy", "balanced_accuracy")
        ]
    )


def main(given: Sequence[str] | None = None) -> None:
    """Run what the command line names, print and write."""
    parser = on_targets(command_line(__doc__), RESULTS / "suggest", TARGETS, draws=3)
    parser.add_argument("--conditions", nargs="+", default=CONDITIONS, metavar="SUGGESTER_NUMBER")
    parser.add_argument("--only-run", action="store_true", help="fill the store, write no results")
    chosen = parser.parse_args(given)
    workspace = Workspace(chosen.data, chosen.store)
    found = pd.concat(
        [
            part
            for target in chosen.targets
            for part in predictions(target, chosen.draws, chosen.conditions, workspace)
        ],
        ignore_index=True,
    )
    if chosen.only_run:
        return
    columns = list(probability_columns(classes_of(found)))
    found = found.assign(**((found[columns] * GRID).round() / GRID))
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_predictions(found, chosen.out / "predictions.parquet")
    measured = scores(found, resamples=0)[
        ["condition", "target", "draw", "seed", "protocol", "accuracy", "balanced_accuracy"]
    ]
    write_table(measured, chosen.out / "adapted.csv")
    write_table(summary(measured), chosen.out / "adapted_summary.csv")


if __name__ == "__main__":
    command(main)
