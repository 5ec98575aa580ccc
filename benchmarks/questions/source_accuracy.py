"""Source accuracy (80/20), compared with the paper: how well the source model classifies held-out cells of its sources.

    python -m benchmarks.questions.source_accuracy --data ~/wbc --preset laptop --sources barcelona

Trains the source model, or finds it in the store, and measures its predictions of the held-out fifth of every source, groups
kept together. Writes `source_accuracy.parquet` (the predictions), `.csv` (all measures) and `.md` (the tables).
"""

from collections.abc import Sequence

import pandas as pd
from rich.console import Console

from benchmarks.common.options import arguments, command, recipe_of, with_recipe
from benchmarks.common.source import source_run
from cellda.evaluation.predictions import write_predictions
from cellda.experiment.stages import check_weights, held_out_predictions, source_model
from cellda.experiment.workspace import Workspace
from cellda.reporting.paper.published import SOURCE, same_classes
from cellda.reporting.paper.tables import source_table
from cellda.reporting.tables.conditions import scores, summary_table
from cellda.reporting.tables.text_table import TextTable
from cellda.runtime import progress as bars
from cellda.training.loop import Trainer


def tables_of(predictions: pd.DataFrame) -> list[TextTable]:
    """A table of measures for each source, and a comparison with the paper if it reports one of them."""
    tables = [summary_table(part) for _, part in predictions.groupby("target", sort=False)]
    beside = same_classes(predictions) and set(predictions["target"]) & set(SOURCE)
    return [*tables, source_table(predictions)] if beside else tables


def main(given: Sequence[str] | None = None) -> None:
    """Train, measure, and write the tables."""
    chosen = with_recipe(arguments(__doc__)).parse_args(given)
    recipe = recipe_of(chosen)
    case, trainer = source_run(recipe, Workspace(chosen.data, chosen.store)), Trainer(recipe.device)
    check_weights([case])
    with bars.display():
        predictions = held_out_predictions(source_model(case, trainer))
    tables = tables_of(predictions)
    write_predictions(predictions, chosen.out / "source_accuracy.parquet")
    scores(predictions).to_csv(chosen.out / "source_accuracy.csv", index=False, float_format="%.4f")
    text = "\n".join(table.to_markdown() for table in tables)
    (chosen.out / "source_accuracy.md").write_text(text, encoding="utf-8")
    for table in tables:
        Console().print(table)


if __name__ == "__main__":
    command(main)
