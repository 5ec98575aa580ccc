"""`cellda count`: differential counts from predictions."""

from pathlib import Path
from typing import Annotated

import typer

from cellda.cli.early import each, existing, known_model, writable_file
from cellda.cli.output import Json, Output
from cellda.errors import ConfigurationError
from cellda.runtime.given import path_of
from cellda.text import counted


def count(
    predictions: Annotated[
        Path, typer.Argument(callback=existing, help="Predictions from `cellda predict`.")
    ],
    model: Annotated[
        str,
        typer.Option(
            callback=each(known_model),
            help="The model that predicted them: its labelled cells say what it confuses, by which counts are corrected.",
        ),
    ],
    save: Annotated[
        Path | None, typer.Option(callback=writable_file, help="Also write the counts to this file, .csv.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Differential counts with 95 % intervals: of all cells, and of each patient and slide (column group).

    Images without a class (flags field, no_nucleus; unreadable ones) are not counted. A corrected count takes into account
    what the model confuses, as measured on its labelled cells (docs/trust.md); a model without them gives raw counts.
    """
    if save is not None and save.suffix.lower() != ".csv":
        raise ConfigurationError(f"Counts are saved as CSV: end '{save}' in .csv.")

    from cellda import source_models
    from cellda.models.classifier import CellClassifier
    from cellda.models.counted import counted_by, wide
    from cellda.models.made_by import check_maker
    from cellda.models.predicted_file import read_table
    from cellda.reporting.tables.counted import count_tables, not_shown
    from cellda.runtime.place import written

    table, record = read_table(path_of(predictions))
    classifier = CellClassifier.load(source_models.registry.place(model))
    check_maker(classifier, record, predictions)
    output = Output(as_json)
    found = counted_by(classifier, table)
    left, given = int(table["predicted"].isna().sum()), int(table["certain"].sum())
    output.answer(
        {"counts": found.to_dict("records"), "not_counted": left, "changed": given},
        *count_tables(found),
    )
    if line := not_shown(found):
        output.say(f"{line} --save and --json have all.")
    if line := wide(classifier, table):
        output.say(f"{line} (cellda suggest --suggester random).")
    if left:
        output.say(
            f"Not counted: {counted(left, 'image(s)')} without a class (no single cell, unreadable, or by a person)."
        )
    if given:
        output.say(f"{counted(given, 'image(s)')} with what a person said: counted as certain.")
    if classifier.evidence is None:
        output.say(
            "The model was never measured on labelled cells: counts are not corrected for what it confuses."
        )
    if save is not None:
        with written(save) as file:
            found.to_csv(file, index=False, float_format="%.4f")
        output.say(f"Saved the counts in {save}")
