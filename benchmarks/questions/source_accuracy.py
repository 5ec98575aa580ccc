"""Source accuracy (80/20), beside the paper's: how well the source model knows the cells of its sources it has not seen.

    python -m benchmarks.questions.source_accuracy --data ~/wbc --preset laptop --sources barcelona

Trains the source model, or finds it in the store, and measures its predictions of the held-out fifth of every source, groups
kept together. Writes `source_accuracy.parquet` (the predictions), `.csv` (all measures) and `.md` (the tables).
"""

from collections.abc import Sequence

from rich.console import Console

from benchmarks.common.choice import arguments, command, recipe_of, source_run, with_recipe
from cellda.evaluation.predictions import write_predictions
from cellda.experiment.stages import check_weights, held_out_predictions, source_model
from cellda.experiment.workspace import Workspace
from cellda.reporting.paper.published import SOURCE
from cellda.reporting.paper.tables import source_table
from cellda.reporting.tables import scores, summary_table
from cellda.runtime import progress as bars
from cellda.training.loop import Trainer


def main(given: Sequence[str] | None = None) -> None:
    """Train, measure, and write the tables."""
    parser = with_recipe(arguments(__doc__))
    chosen = parser.parse_args(given)
    recipe = recipe_of(chosen)
    case, trainer = source_run(recipe, Workspace(chosen.data, chosen.store)), Trainer(recipe.device)
    check_weights([case])
    with bars.display():
        predictions = held_out_predictions(source_model(case, trainer))
    tables = [summary_table(part) for _, part in predictions.groupby("target", sort=False)]
    if set(predictions["target"]) & set(SOURCE):
        tables.append(source_table(predictions))
    write_predictions(predictions, chosen.out / "source_accuracy.parquet")
    scores(predictions).to_csv(chosen.out / "source_accuracy.csv", index=False, float_format="%.4f")
    text = "\n".join(table.to_markdown() for table in tables)
    (chosen.out / "source_accuracy.md").write_text(text, encoding="utf-8")
    for table in tables:
        Console().print(table)


if __name__ == "__main__":
    command(main)
