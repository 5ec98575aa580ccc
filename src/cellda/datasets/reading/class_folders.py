"""Where the folders of classes lie: in the folder that was given, below folders of patients, or further down."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from cellda.datasets.reading.layout import subfolders
from cellda.datasets.reading.names import is_container, is_split
from cellda.datasets.reading.naming import Naming

LEVELS = ("one level", "two levels", "three levels", "four levels", "five levels")
"""How far down classes are searched, in words."""

_WIDEST = 500


def above_classes(root: Path, names: Sequence[str], naming: Naming) -> list[str]:
    """Those of the folders in `root` that are not classes, and hold folders of classes."""
    unknown = naming.unknown(names)
    return [
        name for name in names if name in unknown and any(map(naming.names_a_class, subfolders(root / name)))
    ]


def further_down(root: Path, names: Sequence[str], naming: Naming) -> str:
    """Where the classes lie if they lie further down than the folders `names` in `root`, and what to write; "" if not."""
    level = list(names)
    for depth in LEVELS:
        found = _to_write(root, above_classes(root, level, naming))
        if found:
            return f"the classes lie {depth} down: write {' or '.join(f'folder={root / name}' for name in found[:3])}"
        level = [f"{name}/{below}" for name in level for below in subfolders(root / name)][:_WIDEST]
    return ""


def _to_write(root: Path, holding: Sequence[str]) -> list[str]:
    """The folders to give: those of patients are read from the folder above them, others are given themselves."""
    below: dict[str, list[str]] = defaultdict(list)
    for place in holding:
        above, _, name = place.rpartition("/")
        below[above].append(name)
    found = []
    for above, names in below.items():
        patients = above and len(names) > 1 and not any(map(is_split, names))
        if patients and len(names) == len(subfolders(root / above)):
            found.append(above)
        else:
            found += [f"{above}/{name}" if above else name for name in names]
    return found


def without_group(name: str, label: str, naming: Naming) -> bool:
    """Whether a folder inside that of a class is not one of a patient: `train`, `images`, or a finer stage of the class."""
    return (
        is_split(name)
        or is_container(name)
        or (naming.is_known(name) and naming.fold(name) == naming.fold(label))
    )


def is_astray(name: str, label: str, naming: Naming) -> bool:
    """Whether a folder inside that of one of the classes has the name of other cells."""
    own = naming.fold(label)
    return own is not None and naming.is_known(name) and naming.fold(name) != own
