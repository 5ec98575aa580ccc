"""What `cellda predict` says of its predictions, and the list of cells for a person."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cellda.cli.output import Output, say_aside
from cellda.errors import ConfigurationError
from cellda.text import agreeing, counted, csv_safe

if TYPE_CHECKING:
    import pandas as pd

    from cellda.models.classifier import CellClassifier
    from cellda.models.told import Terms

UNREADABLE = 3
"""Exit status if some images could not be read: the table holds the others."""
CROP = "crop each cell with --boxes FILE (path,x,y,w,h), or, with labels, make a table of boxes (--target table=FILE)"
"""What to do with a field."""


def report(
    output: Output,
    classifier: "CellClassifier",
    table: "pd.DataFrame",
    save: Path,
    terms: "Terms",
    doubtful: Path | None,
) -> None:
    """Say how many cells of each class there are, what is flagged, and what is left for a person.

    Raises:
        typer.Exit: If images cannot be read.
    """
    from cellda.models.counted import counted_by, wide
    from cellda.models.judged import Flag
    from cellda.models.prediction import flagged
    from cellda.reporting.tables.counted import count_tables

    flags, bad = table["flag"], int((table["reason"] != "").sum())
    found = None
    if table["predicted"].notna().any():
        found = counted_by(classifier, table.assign(group=""))
    answer = {
        "predictions": save,
        "images": len(table),
        "unusable": bad,
        "flagged": int((flags != "").sum()),
        "doubtful": int(flags.str.contains(Flag.DOUBTFUL).sum()),
        "counts": [] if found is None else found.drop(columns="group").to_dict("records"),
        "review": doubtful,
    }
    shown = [] if found is None else count_tables(found)
    output.answer(answer, *shown)
    if found is None:
        output.say("no class")
    elif classifier.evidence is None:
        output.say(
            "The model was never measured on labelled cells: counts are not corrected, and sets are empty."
        )
    elif line := wide(classifier, table):
        output.say(f"{line} (cellda suggest --suggester random).")
    if flags.any():
        output.say(f"{flagged(flags.tolist())}: see the column flag.")
    if terms.error is not None:
        output.say(_left(classifier, table, terms.error))
    if flags.str.contains(Flag.FIELD).any():
        output.say(f"A field shows many cells: {CROP}.")
    if flags.str.contains(Flag.SIZE).any():
        output.say(
            "An image with the flag size is less than half, or more than twice, as large as those of the training cells. "
            f"If it is larger because it is a photograph of a field, even with one white cell: {CROP}."
        )
    if table["group"].any():
        output.say("Counts of each patient or slide: cellda count.")
    output.say(f"Saved {counted(len(table), 'row(s)' if bad else 'prediction(s)')} in {save}")
    if doubtful is not None:
        output.say(
            f"Fill in the column label of {doubtful}, and add its rows to the table of your other labels before you adapt "
            "again: a model keeps no earlier labels."
        )
    if bad:
        say_aside(f"{bad} of {counted(len(table), 'image(s)')} cannot be used: see the column reason.")
        raise typer.Exit(UNREADABLE)


def _left(classifier: "CellClassifier", table: "pd.DataFrame", error: float) -> str:
    """How many cells are left for a person, and what the labelled cells say of the others."""
    from cellda.evaluation.exact import of_share
    from cellda.evaluation.predictions import probabilities
    from cellda.models.judged import Flag

    judged = table[table["predicted"].notna()]
    left = judged["flag"].str.contains(Flag.DOUBTFUL)
    said = (
        f"{counted(int(left.sum()), 'cell(s) (is|are)')} left for a person (flag doubtful), so that about {error:.1%} of the "
        f"other {int((~left).sum()):,} are wrong"
    )
    evidence = classifier.evidence
    if left.all():
        return f"No cell is sure enough for an error rate of {error:.1%}: all are left for a person (flag doubtful)."
    if evidence is None:
        return f"{said}."
    held = evidence.cells[probabilities(evidence.cells).max(1) >= judged["confidence"][~left].min()]
    if held.empty:
        return f"{said}; none of the labelled cells is as sure as these."
    wrong = int((held["label"] != held["predicted"]).sum())
    low, high = of_share(wrong, len(held))
    return (
        f"{said}. Of the {counted(len(held), 'labelled cell(s)')} that are as sure, {wrong} {agreeing(wrong, '(was|were)')} "
        f"wrong (95 % interval of the error rate {low:.1%} to {high:.1%})."
    )


def check_unfilled(file: Path) -> None:
    """Refuse a list for a person that exists: somebody may have filled it in.

    Raises:
        ConfigurationError: If it exists.
    """
    if file.exists():
        raise ConfigurationError(
            f"{file} exists, and may hold labels that somebody has filled in: move it away, or save in another file."
        )


def write_review(table: "pd.DataFrame", number: int, file: Path) -> Path:
    """Write the most doubtful cells, with an empty column `label`; the model's opinion would bias people."""
    from cellda.models.rows import BOX
    from cellda.models.told import most_doubtful
    from cellda.runtime.place import written

    rows = most_doubtful(table, number)
    columns = ["path", *(name for name in BOX if name in rows.columns), "group"]
    listed = rows[columns].assign(path=[str(Path(name).absolute()) for name in rows["path"]])
    listed.insert(1, "label", "")
    listed["path"] = listed["path"].map(csv_safe)
    with written(file) as part:
        listed.to_csv(part, index=False)
    return file
