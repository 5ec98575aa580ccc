"""Tables of predictions that a person has corrected, read as labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from cellda.datasets.reading.sheet import Entries, Sheet

LABEL, PREDICTED, PROBABILITY = "label", "predicted", "p_"
WITHOUT_CLASS = frozenset({"field", "no_nucleus"})
"""Flags of images that the model gives no class (`cellda.models.judged`)."""
NOTE = "it is a table of predictions: the classes that somebody has corrected are its labels"


def changed(given: str, probabilities: Mapping[str, float]) -> bool:
    """Whether a person has given a class: it is not the most probable one, nor one of several that are.

    Args:
        given: The class that the table says.
        probabilities: Class -> probability; empty where the model gave none, so that any class is a person's.
    """
    return given not in {
        name for name, value in probabilities.items() if value == max(probabilities.values())
    }


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
        given = changed(name.lower(), {} if none else _probabilities(entries, places))
        yield where, [*entries, name if given else ""]


def _probabilities(entries: Sequence[str], places: dict[str, int]) -> dict[str, float]:
    """Class -> probability; empty where the model gave none."""
    try:
        return {name: float(entries[place].replace(",", ".")) for name, place in places.items()}
    except ValueError:
        return {}
