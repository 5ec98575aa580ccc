"""`cellda adapt` and `cellda predict`: what a laboratory does with its own cells."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from cellda.cli.app import say
from cellda.cli.early import each, existing, known_dataset, writable_file, writable_folder
from cellda.cli.options import (
    AdapterOption,
    Data,
    FramingOption,
    Presets,
    RecipeFile,
    Settings,
    Sources,
    StoreOption,
)
from cellda.cli.recipes import edited_recipe


def adapt(
    save: Annotated[Path, typer.Option(callback=writable_folder, help="Folder for the adapted model.")],
    labelled: Annotated[
        str | None,
        typer.Option(
            callback=each(known_dataset),
            help="Labelled cells, all used for training: a dataset, or NAME=PATH (folder=~/my_cells).",
        ),
    ] = None,
    unlabelled: Annotated[
        list[Path],
        typer.Option(
            callback=existing,
            help="Images without labels, one cell each: a file or a folder; may be repeated.",
        ),
    ] = [],
    source: Sources = [],
    data: Data = None,
    recipe: RecipeFile = None,
    preset: Presets = [],
    adapter: AdapterOption = None,
    framing: FramingOption = None,
    settings: Settings = [],
    store: StoreOption = None,
) -> None:
    """Train on the sources and adapt to all of your cells; nothing is measured (use `cellda run` for that)."""
    chosen = edited_recipe(
        recipe,
        preset,
        settings,
        ([labelled] if labelled else [], data),
        sources=source,
        adapter=adapter,
        framing=framing,
    )

    from cellda.experiment.workflow import keep

    keep(chosen.adapt(labelled, unlabelled, data, store=store), chosen, save)
    say(f"Saved the adapted model in {save}")
    say(f"Classify images: cellda predict {shlex.quote(str(save))} IMAGES")


def predict(
    model: Annotated[
        Path,
        typer.Argument(
            callback=existing, help="Folder of a model: from `cellda adapt`, or the folder `model` of a run."
        ),
    ],
    images: Annotated[
        list[Path],
        typer.Argument(callback=existing, help="Image files, one cell each, or folders that contain them."),
    ],
    save: Annotated[
        Path, typer.Option(callback=writable_file, help="File for the predictions (CSV).")
    ] = Path("predictions.csv"),
) -> None:
    """Classify images with a model: one row per image, with the probability of every class."""
    import pandas as pd

    from cellda.data.own_cells import image_files
    from cellda.models.classifier import CellClassifier

    files = image_files(images)
    found = CellClassifier.load(model).predict(files)
    table = pd.DataFrame({"path": list(map(str, files)), "predicted": found.labels})
    columns = found.probabilities.T.numpy()
    table = table.assign(**{f"p_{name}": column for name, column in zip(found.classes, columns, strict=True)})
    save.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(save, index=False, float_format="%.4f")
    counts = table["predicted"].value_counts()
    say(", ".join(f"{counts[name]} {name}" for name in found.classes if name in counts.index))
    say(f"Saved {len(table)} predictions in {save}")
