"""Fig. 10 of the paper: embeddings of a target's query cells before and after fine-tuning.

    python -m benchmarks.figures.fine_tuning_embeddings --data ~/wbc --preset laptop --sources barcelona --targets raabin

Runs the recipe on each target, or finds the run in the store, and embeds at most 500 query cells with the source model and
with the adapted one. Writes `<target>_fine_tuning.png` and `fine_tuning.csv`: silhouettes by class before and after.
"""

from collections.abc import Sequence

import pandas as pd

from benchmarks.common.datasets import datasets_of, title_of
from benchmarks.common.embeddings import embeddings
from benchmarks.common.maps import Map, cell_maps
from benchmarks.common.options import arguments, command, recipe_of, with_recipe
from benchmarks.common.projection import tsne
from benchmarks.common.results import write_table
from benchmarks.common.sampling import balanced_sample
from benchmarks.common.separation import class_silhouettes
from cellda.adapters.base import Start
from cellda.errors import ConfigurationError
from cellda.experiment.run import Run
from cellda.experiment.stages import normalizer_state, source_model
from cellda.experiment.workflow import run
from cellda.experiment.workspace import Workspace
from cellda.models.classifier import CellClassifier
from cellda.reporting.figures import save_figure
from cellda.training.loop import Trainer


def models(case: Run, adapted: CellClassifier, trainer: Trainer) -> dict[str, CellClassifier]:
    """The model before fine-tuning, behind the normalizer of the target, and after."""
    normalizer = case.recipe.used_target_normalizer
    source = CellClassifier.load(source_model(case, trainer))
    before = source.with_normalizer(normalizer, normalizer_state(case, normalizer))
    return {"before": before, "after": adapted}


def shown(case: Run, cells: int) -> list[int]:
    """Rows of the query cells that are shown."""
    query = list(case.draw.query)
    return [query[i] for i in balanced_sample(list(case.target.table["label"].iloc[query]), cells)]


def main(given: Sequence[str] | None = None) -> None:
    """Draw and measure each target before and after."""
    parser = with_recipe(arguments(__doc__))
    parser.add_argument("--targets", nargs="+", help="targets (default: all datasets except the sources)")
    parser.add_argument("--cells", type=int, default=500, help="query cells of each target (default: 500)")
    chosen = parser.parse_args(given)
    recipe = recipe_of(chosen)
    if recipe.adapter.start is not Start.SOURCE:
        raise ConfigurationError(
            f"The adapter '{recipe.adapter.name}' does not start from the source model, so there is no model before "
            "fine-tuning to show; choose another, such as 'full'."
        )
    workspace, trainer = Workspace(chosen.data, chosen.store), Trainer(recipe.device)
    sources = [source.name for source in recipe.sources]
    numbers = []
    for target in datasets_of(chosen.data, chosen.targets, without=sources):
        case = Run.prepare(recipe, target, workspace)
        adapted = run(recipe, target, workspace.data, store=workspace.store).model
        rows = shown(case, chosen.cells)
        labels = list(target.table["label"].iloc[rows])
        maps = []
        for stage, model in models(case, adapted, trainer).items():
            vectors = embeddings(trainer, model, target, rows)
            classes = class_silhouettes(vectors, labels)
            title = f"{stage} fine-tuning\nsilhouette by class {classes['mean']:z.2f}"
            maps.append(Map(title, tsne(vectors), labels))
            by_class = {f"silhouette_{label}": value for label, value in classes.items()}
            numbers.append({"target": target.full_name, "stage": stage, "cells": len(rows), **by_class})
        name = target.full_name.replace("/", "-")
        figure = cell_maps(
            maps, "class", title=f"{title_of(target)}, {len(case.draw.support)} labelled cells"
        )
        print(save_figure(figure, chosen.out / f"{name}_fine_tuning.png"))
    write_table(pd.DataFrame(numbers), chosen.out / "fine_tuning.csv")


if __name__ == "__main__":
    command(main)
