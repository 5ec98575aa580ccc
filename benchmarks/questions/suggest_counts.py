"""Whether counts hold that are corrected by suggested cells (`benchmarks/results/suggest/counts.csv`).

    python -m benchmarks.questions.suggest_counts --data ~/wbc --store STORE

Suggested cells are harder than those that are counted. As `benchmarks.questions.suggest`: in the support half of a target, a
suggester chooses `LABELS` cells at once, a logistic regression on their embeddings is cross-validated and predicts the query
half, and slides are drawn from it as in `benchmarks.questions.trust_tables`. One row for each target, pool, suggester, number
of counted cells and kind of composition: how often the interval of a class holds its share, its width, how far corrected and
raw shares are from the truth, and what cross-validation says of the accuracy, beside the accuracy of the query (which keeps
its published composition also where the pool is `natural`). Means of three draws and of the classes; `all` is the mean of the
targets.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

from benchmarks.common.halves import Halves, halves_of
from benchmarks.common.options import command, command_line, on_targets
from benchmarks.common.releases import POOLED, TARGETS
from benchmarks.common.results import RESULTS, write_table
from benchmarks.questions.suggest import UNBALANCED
from benchmarks.questions.trust_tables import accuracy, counted
from cellda.evaluation.predictions import probability_columns
from cellda.experiment.workspace import Workspace
from cellda.suggestion import suggesters
from cellda.suggestion.current import regressed
from cellda.suggestion.suggesters.base import Rows

LABELS = 60
SUGGESTERS = ("random", "schedule", "typiclust", "margin")
FOLDS = 5


def table_of(labels: Rows, said: "np.ndarray", classes: tuple[str, ...]) -> pd.DataFrame:
    """A table of predictions: classes of cells `(N,)`, and probabilities `(N, classes)`."""
    names = np.array(classes)
    told = pd.DataFrame(said, columns=list(probability_columns(classes)))
    return told.assign(label=names[labels], predicted=names[said.argmax(1)])


def measured(halves: Halves, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The predictions of the query half, and those of the suggested cells by cross-validation."""
    number, draw = min(LABELS, len(halves.support.rows) // 2), halves.run.draw.draw
    chosen = halves.support.at(halves.chosen(suggesters.create(name), [number], draw))
    classes = halves.run.taxonomy.classes
    held = np.zeros((number, len(classes)))
    for others, left in KFold(FOLDS, shuffle=True, random_state=draw).split(held):
        learned = chosen.at(others)
        held[left] = regressed(chosen.embeddings[left], learned.embeddings, learned.labels, len(classes))
    said = regressed(halves.query.embeddings, chosen.embeddings, chosen.labels, len(classes))
    return table_of(halves.query.labels, said, classes), table_of(chosen.labels, held, classes)


def rows(targets: Sequence[str], draws: Sequence[int], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """One row for each target, draw, pool, suggester, number of counted cells, kind of composition and class."""
    for target in targets:
        for halves in halves_of(POOLED, target, draws, workspace):
            pools = {"published": halves}
            if target in UNBALANCED:
                pools["natural"] = halves.natural()
            for pool, half in pools.items():
                for name in SUGGESTERS:
                    query, held = measured(half, name)
                    told = {"accuracy": accuracy(query), "accuracy_told": accuracy(held)}
                    for row in counted(query, held, halves.run.draw.draw):
                        yield {"pool": pool, **halves.key, "suggester": name, **row, **told}


def main(given: Sequence[str] | None = None) -> None:
    """Run what the command line names, print and write."""
    parser = on_targets(command_line(__doc__), RESULTS / "suggest", TARGETS, draws=3)
    chosen = parser.parse_args(given)
    found = pd.DataFrame(rows(chosen.targets, chosen.draws, Workspace(chosen.data, chosen.store)))
    by = ["pool", "suggester", "compositions", "counted"]
    own = found.drop(columns=["draw"]).groupby([*by, "target"]).mean(numeric_only=True).reset_index()
    every = own.groupby(by).mean(numeric_only=True).reset_index().assign(target="all")
    means = pd.concat([every, own], ignore_index=True)
    means = means[["target", *means.columns.drop("target")]]
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_table(means, chosen.out / "counts.csv")


if __name__ == "__main__":
    command(main)
