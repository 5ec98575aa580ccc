"""Fig. 9 of the paper: embeddings of a model trained with the transform, and of one trained without it.

    python -m benchmarks.figures.transform_embeddings --data ~/wbc --preset laptop --sources barcelona

Two source models are trained, or found in the store: the recipe's, and the same with `normalizer=identity`. The figure shows
at most 200 held-out cells of each source, and 200 of each of `--targets`. The paper shows its two sources; with one source
there would be nothing to bring together, so `--targets` are then all other datasets in `--data` (with two or more sources:
none). No model has seen the cells shown. Writes `transform_embeddings.png` and `.csv`: how well a classifier predicts the
dataset of an embedding (groups kept together) against chance, and silhouettes by dataset and by class.
"""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from benchmarks.common.datasets import datasets_of, title_of
from benchmarks.common.embeddings import embeddings, rows_named
from benchmarks.common.maps import Map, cell_maps
from benchmarks.common.options import arguments, command, recipe_of, with_recipe
from benchmarks.common.projection import tsne
from benchmarks.common.results import write_table
from benchmarks.common.sampling import balanced_sample
from benchmarks.common.separation import class_silhouettes, domain_separation
from benchmarks.common.source import source_run
from cellda import Recipe
from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError
from cellda.experiment.run import Run
from cellda.experiment.stages import check_weights, held_out_predictions, source_model
from cellda.experiment.workspace import Workspace
from cellda.models.classifier import CellClassifier
from cellda.reporting.figures import save_figure
from cellda.runtime import progress as bars
from cellda.training.loop import Trainer


def variants(recipe: Recipe) -> dict[str, Recipe]:
    """The recipe without and with its transform.

    Raises:
        ConfigurationError: If it has no transform.
    """
    if recipe.normalizer.name == "identity":
        raise ConfigurationError(
            "This recipe's normalizer is 'identity', so there is no transform to leave out; choose one that transforms, such "
            "as normalizer='reinhard'."
        )
    plain = recipe.with_(normalizer="identity", target_normalizer=None)
    return {"without the transform": plain, "with the transform": recipe}


def shown(
    case: Run, trainer: Trainer, targets: Sequence[CellDataset], cells: int
) -> list[tuple[CellDataset, list[int]]]:
    """The cells to show of each dataset: of sources from the held-out part, which is the same for both models."""
    held = held_out_predictions(source_model(case, trainer))
    chosen = []
    for source in case.sources:
        names = held["path"][(held["target"] == source.full_name).to_numpy(dtype=bool)]
        rows = rows_named(source, names)
        labels = list(source.table["label"].iloc[rows])
        chosen.append((source, [rows[i] for i in balanced_sample(labels, cells)]))
    return chosen + [(one, balanced_sample(list(one.table["label"]), cells)) for one in targets]


def main(given: Sequence[str] | None = None) -> None:
    """Train both models, draw their maps and measure them."""
    parser = with_recipe(arguments(__doc__))
    parser.add_argument("--targets", nargs="*", help="further datasets to show")
    parser.add_argument("--cells", type=int, default=200, help="cells of each dataset (default: 200)")
    chosen = parser.parse_args(given)
    recipes = variants(recipe_of(chosen))
    workspace, trainer = Workspace(chosen.data, chosen.store), Trainer(recipe_of(chosen).device)
    cases = {name: source_run(recipe, workspace) for name, recipe in recipes.items()}
    check_weights(cases.values())
    sources = [source.full_name for source in next(iter(cases.values())).sources]
    several = len(sources) > 1 and chosen.targets is None
    targets = [] if several else datasets_of(chosen.data, chosen.targets, without=sources)
    maps, numbers = [], []
    with bars.display():
        for name, case in cases.items():
            cells = shown(case, trainer, targets, chosen.cells)
            model = CellClassifier.load(source_model(case, trainer))
            vectors = np.concatenate([embeddings(trainer, model, one, rows) for one, rows in cells])
            names = [title_of(one) for one, rows in cells for _ in rows]
            labels = [label for one, rows in cells for label in one.table["label"].iloc[rows]]
            groups = [one.effective_groups()[row] for one, rows in cells for row in rows]
            found = domain_separation(vectors, names, groups)
            classes = class_silhouettes(vectors, labels)
            title = (
                f"{name}\nsilhouette by class {classes['mean']:z.2f}, by dataset {found.silhouette:z.2f}\n"
                f"dataset recognised: {found.accuracy:.2f} (chance {found.chance:.2f})"
            )
            maps.append(Map(title, tsne(vectors), labels, names))
            by_class = {f"silhouette_{label}": value for label, value in classes.items()}
            numbers.append({"trained": name, "cells": len(names), **asdict(found), **by_class})
    print(save_figure(cell_maps(maps, "class", "dataset"), chosen.out / "transform_embeddings.png"))
    write_table(pd.DataFrame(numbers), chosen.out / "transform_embeddings.csv")


if __name__ == "__main__":
    command(main)
