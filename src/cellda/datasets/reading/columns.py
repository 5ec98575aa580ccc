"""Which column of a table holds what, by its header; headers that cannot be used are refused with the remedy."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from cellda.datasets.reading.box import SIDES
from cellda.datasets.reading.sheet import Sheet
from cellda.errors import DataError, nearest
from cellda.text import counted

CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("x1", "y1", "x2", "y2"),
    ("left", "top", "right", "bottom"),
)
"""Names of columns that give a box by its corners."""


def columns_of(
    sheet: Sheet, file: Path, wanted: Sequence[str], required: Sequence[str], group: str | None
) -> dict[str, int]:
    """Position of each wanted column that a header names, in any case."""
    header, found = sheet.header, defaultdict[str, list[int]](list)
    for place, name in enumerate(header):
        found[name.lower()].append(place)
    if group is not None:
        if group.strip().lower() not in found:
            raise DataError(
                f"The table {file} has no column '{group}' for the groups: {nearest(group, found)}"
            )
        if group.strip().lower() in {*required, *SIDES}:
            raise DataError(
                f"The column '{group}' of the table {file} does not say which cells belong together; give the one of the "
                "patient, slide or smear."
            )
        found["group"] = found[group.strip().lower()]
    missing = [name for name in required if name not in found]
    if missing:
        raise DataError(
            f"The table {file} lacks {counted(len(missing), 'column(s)')}: its first line must name at least "
            f"{', '.join(required)}." + _why(sheet, without=len(missing) == len(required)),
            [f"no column '{name}': {nearest(name, found)}" for name in missing],
        )
    twice = [name for name in wanted if len(found.get(name, ())) > 1]
    if twice:
        raise DataError(
            f"The table {file} has more than one column for the same entry; rename or remove all but one.",
            [f"'{name}': the columns {', '.join(header[place] for place in found[name])}" for name in twice],
        )
    if "x" in wanted and not any(side in found for side in SIDES):
        _refuse_corners(file, found)
    half = [side for side in SIDES if side in found]
    if half and len(half) < len(SIDES):
        raise DataError(
            f"The table {file} has only {', '.join(half)} of the box columns {', '.join(SIDES)}; "
            "give all of them or none."
        )
    return {name: found[name][0] for name in wanted if name in found}


def _why(sheet: Sheet, *, without: bool) -> str:
    """Why a header may lack columns, and what to do; `without` says that it has none of them."""
    why = ""
    if without and sheet.header:
        why += " If that is a title, remove what stands above the header."
    if sheet.unread:
        why += (
            f" The sheet '{sheet.title}' was read, because it is the first that is shown; if the cells are in another one "
            f"({', '.join(sheet.unread)}), move that to the front."
        )
    if sheet.encoding:
        why += f" It was read as {sheet.encoding}; if that is wrong, save it as CSV UTF-8."
    return why


def _refuse_corners(file: Path, found: Collection[str]) -> None:
    """Refuse boxes that are given by their corners.

    Raises:
        DataError: If there are such.
    """
    for names in CORNERS:
        if all(name in found for name in names):
            left, top, right, bottom = names
            raise DataError(
                f"The table {file} gives boxes by their corners ({', '.join(names)}); give {', '.join(SIDES)} instead: "
                f"x = {left}, y = {top}, w = {right} - {left}, h = {bottom} - {top}. For whole images, remove these columns."
            )
