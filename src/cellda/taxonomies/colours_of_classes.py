"""The colours of some classes: those of the taxonomy that has them, or else any that differ."""

from collections.abc import Mapping, Sequence

from cellda.errors import ConfigurationError
from cellda.taxonomies import create, names
from cellda.taxonomies.base import OTHER
from cellda.taxonomies.colours import palette


def colours_of(classes: Sequence[str]) -> Mapping[str, str]:
    """Class -> colour, of the first registered taxonomy with just these classes; `colours.palette` if there is none."""
    known = tuple(name for name in classes if name != OTHER)
    for name in names():
        try:
            taxonomy = create(name)
        except ConfigurationError:
            continue  # another one, which whoever uses it is told of
        if taxonomy.classes == known:
            return {**taxonomy.colours, **({OTHER: palette([OTHER])[OTHER]} if OTHER in classes else {})}
    return palette(classes)
