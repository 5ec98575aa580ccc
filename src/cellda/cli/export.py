"""`cellda export`: a model as a file that runs without cellda."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cellda.cli.early import each, existing_images, known_model, writable_file
from cellda.cli.output import say, say_aside
from cellda.text import counted


def export(
    model: Annotated[
        str,
        typer.Argument(
            callback=each(known_model),
            help="Folder of a model from `cellda adapt`, folder of a run, or a source model's name (see: cellda list models).",
        ),
    ],
    save: Annotated[
        Path,
        typer.Option(
            callback=writable_file,
            help="The file: .onnx, .pt (torchscript) or .zip (bioimageio); FILE.md says how to use it.",
        ),
    ],
    format: Annotated[
        Literal["onnx", "torchscript", "bioimageio"], typer.Option("--format", help="Of the file.")
    ] = "onnx",
    without: Annotated[
        list[str],
        typer.Option(metavar="PART", help="Leave out a part that no graph can hold (second_view)."),
    ] = [],
    check: Annotated[
        list[Path],
        typer.Option(
            callback=existing_images,
            help="Images on which the file is compared with the library, besides synthetic ones: file, folder or pattern; "
            "may be repeated.",
        ),
    ] = [],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the files if they exist.")] = False,
) -> None:
    """Write a model as a file that runs without cellda: raw pixels in, class probabilities out.

    The colour normalizer is inside; the framing is not (FILE.md says what it is). The file is compared with the library, and
    is not kept if a probability differs by more than 1e-4.
    """
    from cellda.export import registry
    from cellda.export.writing import check_place

    check_place(registry.create(format), save, overwrite=overwrite)

    from cellda import source_models
    from cellda.export.writing import export as written
    from cellda.models.classifier import CellClassifier

    classifier = CellClassifier.load(source_models.registry.place(model))
    made = written(classifier, save, format, without=without, check=check, overwrite=overwrite)
    if classifier.framing_spec.build().cuts:
        say_aside(
            f"The framing '{classifier.framing_spec.name}' is not inside: give the file framed crops ({made.readme.name})."
        )
    if without:
        say_aside(f"Without {', '.join(without)}, probabilities differ from those of `cellda predict`.")
    say(
        f"Saved {made.file}; the largest difference of a probability from the library is {made.difference:.1g} "
        f"({counted(made.images, 'image(s)')})"
    )
