"""`cellda adapt`: a model for a laboratory's own cells."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from cellda.cli.app import say
from cellda.cli.early import apart, each, existing_images, known_dataset, writable_folder
from cellda.cli.options import (
    AdapterOption,
    BitsOption,
    Data,
    FramingOption,
    GroupOption,
    Presets,
    RecipeFile,
    Settings,
    Sources,
    StoreOption,
)
from cellda.cli.recipes import edited_recipe, given, reading
from cellda.errors import ConfigurationError
from cellda.runtime.given import path_of
from cellda.runtime.place import saving


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
            callback=existing_images,
            help="Images without labels, one cell each: a file, a folder or a pattern; may be repeated.",
        ),
    ] = [],
    source: Sources = [],
    data: Data = None,
    recipe: RecipeFile = None,
    preset: Presets = [],
    adapter: AdapterOption = None,
    framing: FramingOption = None,
    group: GroupOption = None,
    bits: BitsOption = None,
    settings: Settings = [],
    store: StoreOption = None,
) -> None:
    """Train on the sources and adapt to all of your cells; nothing is measured (use `cellda run` for that)."""
    if labelled is None and given(group=group, bits=bits):
        raise ConfigurationError("--group and --bits say how --labelled is read: give it, or leave them out.")
    own = [labelled] if labelled else []
    apart({"--save": save, "--store": store}, (*own, *source), data, *unlabelled)
    chosen = edited_recipe(
        recipe,
        preset,
        settings,
        (own, data),
        sources=source,
        adapter=adapter,
        framing=framing,
    )

    from cellda.experiment.workflow import accounted, keep
    from cellda.experiment.workspace import Workspace

    workspace = Workspace(data, store)
    options = {} if labelled is None else reading(labelled, group=group, bits=bits)
    known = None if labelled is None else workspace.load(labelled, **options)
    model, accounts = accounted(chosen, known, unlabelled, workspace)
    with saving(
        path_of(save), "The model is in the store: the same command saves it without training again."
    ):
        keep(model, chosen, save, accounts)
    say(f"Saved the adapted model in {save}")
    say(f"Classify images: cellda predict {shlex.quote(str(save))} IMAGES")
