"""A laboratory's own classes: whatever its folders or labels are called."""

import difflib
from collections.abc import Iterable, Mapping

from cellda.errors import ConfigurationError, UnknownNameError, nearest
from cellda.taxonomies import register
from cellda.taxonomies.base import Taxonomy
from cellda.taxonomies.cell_types import CELL_TYPES, CellType
from cellda.taxonomies.colours import palette
from cellda.text import shortened

MOST = 256
"""Classes; more are a column that holds something else."""


@register("own")
class Own(Taxonomy):
    """Your own classes: the labels or folder names of your cells, as they are written.

    Args:
        classes: Their names in the order of the class index; by default those that the target's labels have, sorted. Labels
            that are not among them are refused.

    Raises:
        ConfigurationError: If two classes have one name, or there is only one, or more than `MOST`.
    """

    def __init__(self, classes: tuple[str, ...] = ()) -> None:
        wrong = sorted({name for name in classes if not name.strip() or classes.count(name) > 1})
        if isinstance(classes, str) or wrong:
            raise ConfigurationError(
                "Own classes are a list of different names, none of them empty; got "
                + (
                    repr(classes)
                    if isinstance(classes, str)
                    else f"several times or empty: {', '.join(map(repr, wrong))}"
                )
                + "."
            )
        if len(classes) > MOST:
            raise ConfigurationError(
                f"There are {len(classes):,} own classes ({', '.join(map(repr, classes[:3]))}, ...); at most {MOST} can be "
                "told apart. Is the label of each cell a class?"
            )
        self.open = not classes
        self.colours = palette(classes)
        super().__init__()

    @property
    def tree(self) -> Mapping[str, CellType]:
        """The known types, and the classes, whatever they are called."""
        return {**CELL_TYPES, **{name: CELL_TYPES.get(name, CellType(None, ())) for name in self.colours}}

    def _check(self) -> None:
        if not self.open:  # otherwise there are no classes yet
            super()._check()

    def fold(self, raw_label: str) -> str | None:
        """The name itself.

        Raises:
            UnknownNameError: If classes were given, and it is none of them.
        """
        if not self.is_known(raw_label):
            raise UnknownNameError(self.unknown_names([raw_label])[raw_label])
        return raw_label

    def coarse(self, raw_label: str) -> str | None:
        """None: own classes have no parents."""
        del raw_label
        return None

    def is_known(self, name: str) -> bool:
        """Whether it is one of the classes; any name is while they are not known."""
        return self.open or name in self.classes

    def unknown_names(self, raw_labels: Iterable[str]) -> dict[str, str]:
        """Those that are not among the classes, each with a message."""
        return {
            name: f"'{shortened(name, 80)}' is not one of the taxonomy's own classes; {nearest(name, self.classes)}"
            for name in dict.fromkeys(raw_labels)
            if not self.is_known(name)
        }

    def nearest(self, name: str) -> list[str]:
        """The classes that a name is most like."""
        return difflib.get_close_matches(name, self.classes, n=3, cutoff=0.6)

    def is_that_of(self, found: Taxonomy) -> bool:
        """Whether it has these classes, or none were given."""
        return isinstance(found, Own) and (self.open or self.classes == found.classes)

    def found_in(self, raw_labels: Iterable[str]) -> Taxonomy:
        """The taxonomy of these classes, if none were given."""
        return Own(tuple(sorted(set(raw_labels)))) if self.open else self
