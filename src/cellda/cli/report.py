"""`cellda report`: a page, or PDF, of what a model did."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellda.cli.early import each, existing, known_dataset, known_model, writable_file
from cellda.cli.options import Data, StoreOption
from cellda.cli.output import Json, Output
from cellda.errors import ConfigurationError
from cellda.runtime.given import path_of

if TYPE_CHECKING:
    from cellda.report.content import Report


def report(
    places: Annotated[
        list[str],
        typer.Argument(
            callback=each(known_model),
            help="Folder of a run, or of a model from `cellda adapt`, or a model by name; of several runs to compare.",
        ),
    ],
    save: Annotated[
        Path, typer.Option(callback=writable_file, help="The report: .html (one file, no network), or .pdf.")
    ] = Path("report.html"),
    predictions: Annotated[
        Path | None,
        typer.Option(
            callback=existing,
            help="Predictions of the model, from `cellda predict`: counts, doubtful cells, flags.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            callback=each(known_dataset),
            help="The target of the run, for its pictures: a dataset, or NAME=PATH (table=cells.csv).",
        ),
    ] = None,
    data: Data = None,
    store: StoreOption = None,
    as_json: Json = False,
) -> None:
    """Write a report for people who look at cells: how good, what is confused, counts, cells to look at, how it was made."""
    from cellda.report.page import check_report, write
    from cellda.source_models import registry

    check_report(save)
    made = _report([registry.place(place) for place in places], predictions, target, data, store)
    write(made, path_of(save))
    output = Output(as_json)
    output.answer(
        {"report": save, "title": made.title, "headline": [*made.headline], "doubts": [*made.doubts]}
    )
    for line in (*made.headline, *made.doubts, *made.missing):
        output.say(line)
    output.say(f"Saved the report in {save}")


def _report(
    places: list[Path], predictions: Path | None, target: str | None, data: Path | None, store: str | None
) -> "Report":
    from pydantic import TypeAdapter

    from cellda.datasets.reading.account import Account
    from cellda.experiment.keeping import RECIPE
    from cellda.experiment.record import RECORD
    from cellda.experiment.reports import report_of_run, report_of_runs
    from cellda.experiment.result import RunResult
    from cellda.experiment.workspace import Workspace
    from cellda.models.classifier import CellClassifier
    from cellda.models.made_by import check_maker
    from cellda.models.predicted_file import read_table
    from cellda.report.of_model import report_of_model

    runs = [(place / RECORD).is_file() for place in places]
    if len(places) > 1:
        if not all(runs) or predictions is not None:
            raise ConfigurationError(
                "Several places are compared, which must all be folders of runs; give one model alone."
            )
        return report_of_runs([RunResult.load(place) for place in places])
    [place] = places
    if runs[0] and predictions is None:
        return report_of_run(RunResult.load(place), target, Workspace(data, store, progress=False))
    if target is not None or data is not None:
        raise ConfigurationError(
            "--target and --data say where the images of a run are; leave them out for a model."
        )
    model = CellClassifier.load(place)
    file = place / RECIPE
    recipe = file.read_text(encoding="utf-8") if file.is_file() else ""
    if predictions is None:
        return report_of_model(model, place.name, recipe)
    table, record = read_table(path_of(predictions))
    check_maker(model, record, predictions)
    bits = record.get("made_by", {}).get("bits")
    account = [TypeAdapter(Account).validate_python(record["account"])] if "account" in record else []
    lines = [line for one in account for line in one.lines()]
    return report_of_model(model, place.name, recipe, table, lines, bits)
