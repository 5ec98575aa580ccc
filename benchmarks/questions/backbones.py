"""The comparison of backbones by which the paper chose EfficientNet-B0, on a small subset of the images.

    python -m benchmarks.questions.backbones --data ~/wbc --sources barcelona --targets raabin bccd

The paper's five by default; `--backbones` takes any timm names. Weights come from the hub; `--weights none` compares random
networks, which only shows that the script works. A backbone whose weights cannot be downloaded is left out, and the table
says so. Each gets images of the size its weights were trained on (Inception v3: 299 px), unless `--image-size` is given. For
each: a source model on at most 200 cells of each class, its accuracy on the held-out fifth, then the recipe without search on
every target and draw. Writes `backbones.md`, `backbones.csv` and the predictions. After an interruption it resumes.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

import cellda.datasets
from benchmarks.common.datasets import names_of
from benchmarks.common.options import arguments, command, recipe_of, with_recipe
from benchmarks.common.source import source_run
from cellda import Recipe
from cellda.data.root import DataRoot
from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError
from cellda.evaluation.compare import across_draws
from cellda.evaluation.predictions import write_predictions
from cellda.experiment.stages import SOURCE_RECORD, held_out_predictions, source_model
from cellda.experiment.study import Study
from cellda.experiment.workspace import Workspace
from cellda.models.classifier import CellClassifier
from cellda.models.encoder import build_encoder
from cellda.models.timm_names import native_size
from cellda.reporting.tables.conditions import scores
from cellda.reporting.tables.text_table import TextTable
from cellda.taxonomies.spec import PAPER as PAPER_CLASSES
from cellda.taxonomies.spec import TaxonomySpec
from cellda.training.loop import Trainer

PAPER = ("vgg16_bn", "resnet101", "efficientnet_b0", "vit_base_patch16_224", "inception_v3")


class FewCells(DataRoot):
    """Loads datasets with at most `per_class` cells of each class, always the same ones.

    Args:
        root: The folder that holds one folder per dataset name.
        per_class: Maximum number of cells of each class.
    """

    def __init__(self, root: Path | None, per_class: int) -> None:
        super().__init__(root)
        self.per_class = per_class

    def load(self, name: str, taxonomy: TaxonomySpec = PAPER_CLASSES, **options: Any) -> CellDataset:
        """Load `name` with at most `per_class` cells of each class; synthetic datasets are rendered that small."""
        if cellda.datasets.get(name.partition("=")[0].partition("/")[0]).synthetic:
            return super().load(name, taxonomy, **{"per_class": self.per_class, **options})
        dataset = super().load(name, taxonomy, **options)
        drawn = dataset.table.sample(frac=1, random_state=0).groupby("label").head(self.per_class)
        dataset.table = drawn.sort_index().reset_index(drop=True)
        return dataset


def variants(given: argparse.Namespace) -> tuple[dict[str, Recipe], list[str]]:
    """The recipe with each backbone whose weights are available, and a sentence for each that is left out.

    Raises:
        ConfigurationError: If no backbone is left.
    """
    base = recipe_of(given).with_(search=None)
    recipes, left_out = {}, []
    for name in given.backbones:
        size = given.image_size or native_size(name)
        recipe = base.with_(backbone={"name": name, "weights": given.weights, "image_size": size})
        try:
            build_encoder(recipe.backbone)
        except ConfigurationError as error:
            left_out.append(str(error))
        else:
            recipes[name] = recipe
    if not recipes:
        raise ConfigurationError("No backbone is left to compare:\n" + "\n".join(left_out))
    return recipes, left_out


def measured(recipe: Recipe, workspace: Workspace, trainer: Trainer) -> tuple[dict[str, Any], pd.DataFrame]:
    """Size, cost and accuracy of one backbone's source model, and its predictions of the held-out fifth."""
    folder = source_model(source_run(recipe, workspace), trainer)
    record = json.loads((folder / SOURCE_RECORD).read_text(encoding="utf-8"))
    weights = sum(weight.numel() for weight in CellClassifier.load(folder).encoder.parameters())
    row = {
        "backbone": recipe.backbone.name,
        "image_size": recipe.backbone.image_size,
        "million_weights": weights / 1e6,
        "source_training_s": record["seconds"]["train"],
        **{f"source_{name}": accuracy for name, accuracy in record["held_out_accuracy"].items()},
    }
    return row, held_out_predictions(folder).assign(condition=recipe.backbone.name)


def text_table(table: pd.DataFrame, notes: Sequence[str]) -> TextTable:
    """The comparison as text."""
    shown: Mapping[str, str] = {"image_size": ".0f", "million_weights": ".1f", "source_training_s": ".0f"}
    return TextTable(
        title="Backbones: accuracy on the held-out fifth of the sources, and on the targets",
        columns=[column.replace("_", " ") for column in table.columns],
        rows=[
            [str(row["backbone"]), *(format(row[name], shown.get(name, ".3f")) for name in table.columns[1:])]
            for _, row in table.iterrows()
        ],
        notes=notes,
    )


def main(given: Sequence[str] | None = None) -> None:
    """Train, adapt and measure with every backbone."""
    parser = with_recipe(arguments(__doc__))
    parser.add_argument("--backbones", nargs="+", default=PAPER, help="names of timm models")
    parser.add_argument("--weights", default="timm", help="timm (default), packaged, none, or a state dict")
    parser.add_argument("--image-size", type=int, help="one size for all (default: each backbone's own)")
    parser.add_argument("--targets", nargs="+", help="targets (default: all datasets except the sources)")
    parser.add_argument("--draws", type=int, nargs="+", default=[0], help="which draws (default: 0)")
    parser.add_argument(
        "--cells", type=int, default=200, help="cells of each class and dataset (default: 200)"
    )
    chosen = parser.parse_args(given)
    recipes, left_out = variants(chosen)
    for sentence in left_out:
        Console(stderr=True).print(f"Left out: {sentence}", markup=False, highlight=False)
    base = next(iter(recipes.values()))
    workspace = Workspace(FewCells(chosen.data, chosen.cells), chosen.store)
    trainer = Trainer(base.device)
    without = [source.name for source in base.sources]
    targets = chosen.targets or names_of(chosen.data, without)
    predictions = Study(recipes, targets, chosen.draws, [chosen.seed], workspace=workspace).run()
    spread = across_draws(scores(predictions, resamples=0))
    rows, held_out = [], []
    for name, recipe in recipes.items():
        row, held = measured(recipe, workspace, trainer)
        part = spread[spread["condition"] == name].set_index("target")["mean"]
        row |= {str(target): accuracy for target, accuracy in part.items()}
        rows.append(row | {"mean": part.mean()})
        held_out.append(held)
    table = pd.DataFrame(rows)
    notes = [
        f"At most {chosen.cells} cells of each class of each dataset; weights: {chosen.weights}.",
        f"Targets: accuracy, mean over {len(chosen.draws)} draw{'s' * (len(chosen.draws) > 1)} of "
        f"{base.few_shot.n or 'the published number of'} labelled cells, adapter {base.adapter.name} without search.",
        *(f"Left out: {sentence}" for sentence in left_out),
    ]
    text = text_table(table, notes)
    print(text)
    write_predictions(predictions, chosen.out / "backbones.parquet")
    write_predictions(pd.concat(held_out), chosen.out / "backbones_source.parquet")
    table.to_csv(chosen.out / "backbones.csv", index=False, float_format="%.4f")
    (chosen.out / "backbones.md").write_text(text.to_markdown(), encoding="utf-8")


if __name__ == "__main__":
    command(main)
