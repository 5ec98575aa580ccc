"""Tables of predictions that a person has corrected, read as labels."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cellda.datasets.reading.sheet import Entries, Sheet

LABEL, PREDICTED, PROBABILITY = "label", "predicted", "p_"
NOTE = "it is a table of predictions: the classes that somebody has corrected are its labels"


def with_corrections(sheet: Sheet) -> Sheet:
    """A table of predictions with a column `label`, which holds the classes that somebody has changed.

    A class that is the most probable one is as the model wrote it: nobody has said that it is right, so the row has no label.
    Other tables, and those that have labels, stay as they are.
    """
    names = [name.lower() for name in sheet.header]
    places = {
        name.removeprefix(PROBABILITY): place
        for place, name in enumerate(names)
        if name.startswith(PROBABILITY)
    }
    if LABEL in names or PREDICTED not in names or len(places) < 2:
        return sheet
    predicted = names.index(PREDICTED)
    sheet.notes.append(NOTE)
    return replace(sheet, header=[*sheet.header, LABEL], rows=_labelled(sheet.rows, predicted, places))


def _labelled(
    rows: Iterator[tuple[str, Entries | str]], predicted: int, places: dict[str, int]
) -> Iterator[tuple[str, Entries | str]]:
    for where, entries in rows:
        if isinstance(entries, str):
            yield where, entries
            continue
        name = entries[predicted]
        yield where, [*entries, "" if name.lower() in _most_probable(entries, places) else name]


def _most_probable(entries: Sequence[str], places: dict[str, int]) -> set[str]:
    """The classes of the highest probability; all where it cannot be read, so that nothing is taken for a correction."""
    try:
        values = {name: float(entries[place]) for name, place in places.items()}
    except ValueError:
        return {"", entries[0], *(entry.lower() for entry in entries)}
    return {name for name, value in values.items() if value == max(values.values())}
