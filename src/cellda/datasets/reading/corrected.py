"""Tables of predictions that a person has corrected, read as labels."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cellda.datasets.reading.sheet import Entries, Sheet

LABEL, PREDICTED, PROBABILITY = "label", "predicted", "p_"
WITHOUT_CLASS = frozenset({"field", "no_nucleus"})
"""Flags of images that the model gives no class (`cellda.models.judged`)."""
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
    flag = names.index("flag") if "flag" in names else None
    sheet.notes.append(NOTE)
    return replace(sheet, header=[*sheet.header, LABEL], rows=_labelled(sheet.rows, predicted, places, flag))


def _labelled(
    rows: Iterator[tuple[str, Entries | str]], predicted: int, places: dict[str, int], flag: int | None
) -> Iterator[tuple[str, Entries | str]]:
    for where, entries in rows:
        if isinstance(entries, str):
            yield where, entries
            continue
        name = entries[predicted]
        # Of an image without a cell the model writes no class.
        none = flag is not None and not WITHOUT_CLASS.isdisjoint(entries[flag].split("+"))
        made = set() if none else _most_probable(entries, places)
        yield where, [*entries, "" if name.lower() in made else name]


def _most_probable(entries: Sequence[str], places: dict[str, int]) -> set[str]:
    """The classes of the highest probability; none where the model gave none, so that a class there is a person's."""
    try:
        values = {name: float(entries[place].replace(",", ".")) for name, place in places.items()}
    except ValueError:
        return set()
    return {name for name, value in values.items() if value == max(values.values())}
