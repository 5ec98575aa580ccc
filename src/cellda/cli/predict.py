"""`cellda predict`: classes of a laboratory's images."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellda.cli import completion
from cellda.cli.app import tell
from cellda.cli.early import each, existing, existing_images, known_model, writable_file
from cellda.cli.options import BitsOption, PresentOption
from cellda.cli.output import Json, Output, say_aside
from cellda.cli.predicted import check_unfilled, report, write_review
from cellda.errors import ConfigurationError, DataError
from cellda.runtime.given import path_of
from cellda.text import counted

if TYPE_CHECKING:
    from cellda.datasets.reading.account import Tally
    from cellda.models.inputs import Picture


def predict(
    model: Annotated[
        str,
        typer.Argument(
            callback=each(known_model),
            autocompletion=completion.models,
            help="Folder of a model from `cellda adapt`, folder of a run, or a source model's name (see: cellda list models).",
        ),
    ],
    images: Annotated[
        list[Path],
        typer.Argument(
            callback=existing_images,
            help="Image files, one cell each, folders that contain them, or patterns ('cells/*.png').",
        ),
    ] = [],
    save: Annotated[
        Path,
        typer.Option(
            callback=writable_file, help="File for the predictions: .csv, .parquet, .json or .xlsx."
        ),
    ] = Path("predictions.csv"),
    boxes: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            callback=existing,
            help="Classify these parts of images: a table (.csv, .xlsx, .parquet) with path,x,y,w,h, one row per cell. Paths "
            "are relative to IMAGES if this is one folder, else to the file.",
        ),
    ] = None,
    include: Annotated[
        list[str],
        typer.Option(
            metavar="PATTERN", help="Only images whose name or path matches (*_img.png); may be repeated."
        ),
    ] = [],
    exclude: Annotated[
        list[str],
        typer.Option(
            metavar="PATTERN", help="No images whose name or path matches (*_mask.png); may be repeated."
        ),
    ] = [],
    bits: BitsOption = None,
    present: PresentOption = [],
    coverage: Annotated[
        float,
        typer.Option(
            min=0.5, max=0.99, help="Share of the cells whose set of classes (column set) holds the true one."
        ),
    ] = 0.9,
    abstain: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=0.5,
            metavar="RATE",
            help="Leave cells for a person (flag doubtful), so that about this share of the others is wrong.",
        ),
    ] = None,
    review: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="List the N most doubtful cells in FILE.review.csv, to be labelled by a person.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda, ...")] = "auto",
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse all images if one of them cannot be read.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Classify images with a model: one row per image, with its class, how sure that is, and what else it may be.

    An image that cannot be read has a reason instead of a class, and the exit status is 3. The column flag says which images
    cannot be judged (docs/judging.md). Rows are kept as they are made: after an interruption, the same command continues.
    The column group is the folder of an image below IMAGES (slide, or patient/slide), or that of --boxes. Next to the
    table, FILE.json records what was found and left out, and the model, code and versions that made the table.
    """
    from cellda.models.table_file import check_table

    table_file = path_of(save)
    check_table(table_file, overwrite=overwrite)
    review_file = table_file.with_name(f"{table_file.stem}.review.csv")
    if review is not None:
        check_unfilled(review_file)

    from cellda.datasets.reading.account import Tally

    tally = Tally()
    chosen = _chosen(_pictures(images, boxes, tally), include, exclude, tally)
    account = tally.close("images" if boxes is None else "boxes", len(chosen))
    tell(account)

    from cellda import source_models
    from cellda.models.classifier import CellClassifier
    from cellda.models.made_by import made_by
    from cellda.models.predicting import predict_into
    from cellda.models.rows import Rows
    from cellda.models.told import Terms
    from cellda.runtime import progress
    from cellda.runtime.device import device_named

    terms = Terms(coverage, abstain)
    classifier = CellClassifier.load(source_models.registry.place(model))
    if present:
        classifier.with_present(present)
    if classifier.present is not None:
        say_aside(f"Only {', '.join(classifier.present)} can occur (present): no other class is predicted.")
    terms.check(classifier.evidence, calibrated=classifier.calibration is not None)
    classifier.to(device_named(device))
    made = made_by(classifier, chosen, bits)
    if strict:
        _refuse_unreadable(chosen, bits)
    with Rows(table_file, made, classifier.classes, overwrite=overwrite) as rows:
        with progress.display():
            predict_into(rows, classifier, chosen, bits, say_aside)
        table = rows.finish(account, classifier.evidence, terms)
    doubtful = None if review is None else write_review(table, review, review_file)
    report(Output(as_json), classifier, table, save, terms, doubtful)


def _pictures(images: Sequence[Path], boxes: Path | None, tally: "Tally") -> "list[Picture]":
    from cellda.data.boxes import read_boxes
    from cellda.data.own_cells import grouped, image_files
    from cellda.models.inputs import Picture

    if boxes is not None:
        folder = path_of(images[0]) if len(images) == 1 and path_of(images[0]).is_dir() else None
        if images and folder is None:
            raise ConfigurationError(
                "With --boxes, give no images, or the one folder that its paths are relative to."
            )
        return [
            Picture(str(path), path, box, group=group)
            for path, box, group in read_boxes(path_of(boxes), tally, folder)
        ]
    if not images:
        raise ConfigurationError(
            "There is nothing to predict: give images, folders of images, or --boxes FILE."
        )
    return [
        Picture(str(path), path, group=group) for path, group in grouped(image_files(images, tally), images)
    ]


def _chosen(
    pictures: "list[Picture]", include: list[str], exclude: list[str], tally: "Tally"
) -> "list[Picture]":
    """The pictures that the patterns leave; those that they leave out are entered."""

    def matches(picture: "Picture", patterns: list[str]) -> bool:
        path = Path(picture.name)
        return any(
            fnmatchcase(path.name, one) or fnmatchcase(f"/{path.as_posix()}", f"*/{one}") for one in patterns
        )

    idle = [one for one in (*include, *exclude) if not any(matches(picture, [one]) for picture in pictures)]
    if idle:
        raise ConfigurationError(f"No image matches the pattern {', '.join(map(repr, idle))}.")
    chosen: list[Picture] = []
    left: list[Picture] = []
    for picture in pictures:
        wanted = (not include or matches(picture, include)) and not matches(picture, exclude)
        (chosen if wanted else left).append(picture)
    if not chosen:
        raise DataError(f"--include and --exclude leave none of the {counted(len(pictures), 'image(s)')}.")
    tally.leave("image(s) that --include and --exclude leave out", "", [picture.name for picture in left])
    return chosen


def _refuse_unreadable(pictures: "list[Picture]", bits: int | None) -> None:
    from cellda.datasets.reading.decode import unusable
    from cellda.runtime import progress
    from cellda.runtime.work import Stage, Work

    with progress.display(), progress.task(Work(Stage.DECODE), len(pictures)) as advance:
        bad = unusable([(one.path, one.box) for one in pictures if one.path], advance, bits=bits)
    if bad:
        problems = [f"{pictures[number].name}: {reason}" for number, reason in bad.items()]
        raise DataError(
            f"{len(bad)} of {counted(len(pictures), 'image(s)')} cannot be used; nothing was predicted (--strict).",
            problems,
        )
