"""`cellda count`: differential counts from predictions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellda.cli.early import each, existing, known_model, writable_file
from cellda.cli.output import Json, Output
from cellda.errors import ConfigurationError
from cellda.runtime.given import path_of
from cellda.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from cellda.evaluation.counts import Confusion
    from cellda.models.classifier import CellClassifier
    from cellda.reporting.tables.text_table import TextTable


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
    from cellda.evaluation.counts import by_group
    from cellda.models.classifier import CellClassifier
    from cellda.models.made_by import check_maker
    from cellda.models.predicted_file import corrected, read_table
    from cellda.runtime.place import written

    table, record = read_table(path_of(predictions))
    classifier = CellClassifier.load(source_models.registry.place(model))
    check_maker(classifier, record, predictions)
    output = Output(as_json)
    classes = possible(classifier)
    table = table.assign(group=table.get("group", ""), certain=corrected(table))
    found = by_group(table, classes, confusion_of(classifier))
    left, given = int(table["predicted"].isna().sum()), int(table["certain"].sum())
    output.answer(
        {"counts": found.to_dict("records"), "not_counted": left, "changed": given},
        *tables(found, corrected=classifier.evidence is not None),
    )
    if left:
        output.say(
            f"{counted(left, 'image(s) (shows|show)')} no single cell or cannot be read, and are not counted."
        )
    if given:
        output.say(f"{counted(given, 'class(es) (was|were)')} changed by a person, and counted as certain.")
    if line := warned(classifier, table):
        output.say(line)
    if classifier.evidence is None:
        output.say(
            "The model was never measured on labelled cells: counts are not corrected for what it confuses."
        )
    if save is not None:
        with written(save) as file:
            found.to_csv(file, index=False, float_format="%.4f")
        output.say(f"Saved the counts in {save}")


def possible(classifier: "CellClassifier") -> tuple[str, ...]:
    """The classes that a model can predict."""
    return classifier.present or classifier.classes


def confusion_of(classifier: "CellClassifier") -> "Confusion | None":
    """What is known of how a model confuses the classes that it can predict; None if nothing is."""
    from cellda.evaluation.counts import Confusion, narrowed

    if classifier.evidence is None:
        return None
    return narrowed(Confusion.of(classifier.evidence.cells), possible(classifier))


def warned(classifier: "CellClassifier", table: "pd.DataFrame") -> str:
    """What is said of corrected counts that must not be used; empty if nothing is."""
    from cellda.evaluation.counts import harder

    if classifier.evidence is None or "confidence" not in table.columns:
        return ""
    return harder(classifier.evidence.cells, table["confidence"][table["predicted"].notna()])


def tables(found: "pd.DataFrame", *, corrected: bool) -> list["TextTable"]:
    """One table for all cells, and one for each group."""
    from cellda.reporting.tables.text_table import TextTable

    shown = []
    for name, rows in found.groupby("group", sort=False):
        group = str(name)
        title = f"{group or 'all'}: {counted(int(rows['cells'].sum()), 'cell(s)')}"
        shown.append(
            TextTable(
                title,
                ("class", "cells", "counted", "corrected [95 %]" if corrected else "share [95 %]"),
                tuple(
                    (
                        str(row["class"]),
                        f"{row['cells']}",
                        f"{row['raw']:.1%}",
                        f"{row['share']:.1%} [{row['low']:.1%}–{row['high']:.1%}]",
                    )
                    for _, row in rows.iterrows()
                ),
            )
        )
    return shown
