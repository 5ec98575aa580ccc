"""Tables of predictions that a person has corrected, read as labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from cellda.datasets.reading.sheet import Entries, Sheet

LABEL, PREDICTED, FLAG, PROBABILITY = "label", "predicted", "flag", "p_"
TOLD = frozenset({PREDICTED, FLAG, "confidence", "set", "reason"})
"""What else a model tells of a cell; no labels."""
WITHOUT_CLASS = frozenset({"field", "no_nucleus"})
"""Flags of images that the model gives no class (`cellda.models.judged`)."""
NOTE = "it is a table of predictions: its labels are the column label, where filled, and the classes that somebody has changed"


def said_by_a_person(
    label: str, predicted: str, flags: Sequence[str], probabilities: Mapping[str, float]
) -> str:
    """The class that a person has given a predicted cell; empty if nobody has.

    It is the label, or the predicted class if that is not the most probable one: what the model wrote nobody has confirmed.

    Args:
        label: Of the column `label`; empty if there is none.
        predicted: The class that the table says, in lower case.
        flags: Of the image. An image without a cell gets no class from the model, so any class is a person's.
        probabilities: Class in lower case -> probability; empty where the model gave none.
    """
    if label:
        return label
    made = set() if WITHOUT_CLASS & set(flags) else most_probable(probabilities)
    return "" if predicted in made else predicted


def most_probable(probabilities: Mapping[str, float]) -> set[str]:
    """The class of the highest probability, or several that have it; none without probabilities."""
    return {name for name, value in probabilities.items() if value == max(probabilities.values())}


def with_corrections(sheet: Sheet) -> Sheet:
    """A table of predictions as one of labels (`said_by_a_person`), without what the model tells; other tables as they are."""
    names = [name.lower() for name in sheet.header]
    places = {
        name.removeprefix(PROBABILITY): place
        for place, name in enumerate(names)
        if name.startswith(PROBABILITY)
    }
    if PREDICTED not in names or len(places) < 2:
        return sheet
    sheet.notes.append(NOTE)
    kept = [
        place
        for place, name in enumerate(names)
        if name not in TOLD and name != LABEL and place not in places.values()
    ]
    header = [*(sheet.header[place] for place in kept), LABEL]
    return replace(sheet, header=header, rows=_labelled(sheet.rows, names, places, kept))


def _labelled(
    rows: Iterator[tuple[str, Entries | str]], names: list[str], places: dict[str, int], kept: list[int]
) -> Iterator[tuple[str, Entries | str]]:
    for where, entries in rows:
        if isinstance(entries, str):
            yield where, entries
            continue
        cell = dict(zip(names, entries, strict=True))
        predicted = cell[PREDICTED]
        given = said_by_a_person(
            cell.get(LABEL, ""),
            predicted.lower(),
            cell.get(FLAG, "").split("+"),
            _numbers(entries, places),
        )
        said = predicted if given == predicted.lower() else given
        yield where, [*(entries[place] for place in kept), said]


def _numbers(entries: Sequence[str], places: dict[str, int]) -> dict[str, float]:
    """Class -> probability; empty where the model gave none."""
    try:
        return {name: float(entries[place].replace(",", ".")) for name, place in places.items()}
    except ValueError:
        return {}
