"""`cellda adapt`: a model for a laboratory's own cells."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellda.cli.early import apart, each, existing_images, known_dataset, writable_folder
from cellda.cli.options import (
    AdapterOption,
    BitsOption,
    Data,
    FramingOption,
    GroupOption,
    MapOption,
    ModelOption,
    PresentOption,
    Presets,
    RecipeFile,
    Settings,
    Sources,
    StoreOption,
    TaxonomyOption,
)
from cellda.cli.output import Json, Output, say_aside
from cellda.cli.recipes import edited_recipe, given, reading
from cellda.cli.settings import fields
from cellda.errors import ConfigurationError
from cellda.runtime.given import path_of
from cellda.runtime.place import saving

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cellda.evaluation.metrics import Metrics
    from cellda.models.classifier import CellClassifier


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
    model: ModelOption = None,
    data: Data = None,
    recipe: RecipeFile = None,
    preset: Presets = [],
    adapter: AdapterOption = None,
    framing: FramingOption = None,
    present: PresentOption = [],
    group: GroupOption = None,
    bits: BitsOption = None,
    map: MapOption = None,
    taxonomy: TaxonomyOption = None,
    settings: Settings = [],
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure",
            help="Measure the model by cross-validation, which takes about five times as long as the adaptation itself.",
        ),
    ] = True,
    store: StoreOption = None,
    as_json: Json = False,
) -> None:
    """Adapt a source model to all of your cells, and measure it on the labelled ones by cross-validation.

    The source model is trained on the sources, or is the trained one of --model. Where neither these nor --data nor a recipe
    are given, it is `pooled`, which ships with cellda.
    """
    if labelled is None and given(group=group, bits=bits, map=map):
        raise ConfigurationError(
            "--group, --bits and --map say how --labelled is read: give it, or leave them out."
        )
    own = [labelled] if labelled else []
    apart({"--save": save, "--store": store}, (*own, *source), data, *unlabelled)
    named = model or source or data or recipe or {"sources", "source_model"} & fields(settings)
    if not named and (labelled or unlabelled):
        model = _shipped()
    chosen = edited_recipe(
        recipe,
        preset,
        settings,
        (own, data),
        labelled=labelled is not None,
        unlabelled=bool(unlabelled),
        source_model=model,
        sources=source,
        taxonomy=taxonomy,
        adapter=adapter,
        framing=framing,
        present=present,
    )

    from cellda.experiment.keeping import keep
    from cellda.experiment.workflow import accounted
    from cellda.experiment.workspace import Workspace

    workspace = Workspace(data, store)
    options = {} if labelled is None else reading(labelled, group=group, bits=bits, map=map)
    known = None if labelled is None else workspace.load(labelled, chosen.taxonomy, **options)
    adapted, accounts = accounted(chosen, known, unlabelled, workspace, measure=measure)
    with saving(
        path_of(save), "The model is in the store: the same command saves it without training again."
    ):
        keep(adapted, chosen, save, accounts)
    output = Output(as_json)
    measured, tables, said = _measured(adapted)
    output.answer(
        {
            "model": save,
            "classes": adapted.classes,
            "recipe": chosen.model_dump(mode="json"),
            "accounts": [account.brief() for account in accounts],
            "calibration": adapted.calibration,
            "measured": measured,
            "doubts": said,
        },
        *tables,
    )
    for line in said:
        output.say(line)
    output.say(f"Saved the adapted model in {save}")
    output.say(f"Classify images: cellda predict {shlex.quote(str(save))} IMAGES")


def _measured(adapted: "CellClassifier") -> "tuple[Metrics | None, list[RenderableType], list[str]]":
    """What the labelled cells say of a model: its measures, what is printed of them, and what to doubt."""
    from cellda.evaluation.metrics import measure
    from cellda.reporting.tables.measured import confusion_table, doubts, headline

    evidence = adapted.evidence
    if evidence is None:
        return None, [], ["The model was not measured: nothing says how many of its predictions are right."]
    lines = headline(evidence.cells, evidence.folds, searched=evidence.searched)
    return (
        measure(evidence.cells),
        ["\n".join(lines), confusion_table(evidence.cells)],
        doubts(evidence.cells),
    )


def _shipped() -> str | None:
    """The trained source model that is used where nothing is said about sources; None if none is installed."""
    from cellda import source_models

    name = source_models.DEFAULT
    if name not in source_models.registry:
        return None
    say_aside(
        f"No sources are named: the trained source model '{name}' is used ({source_models.summary(name)}). Choose another "
        "with --model (cellda list models), or train one with --source and --data."
    )
    return name
