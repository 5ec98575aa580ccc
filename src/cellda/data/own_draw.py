"""The draw of a laboratory's own cells."""

from collections.abc import Sequence

from cellda.data.few_shot import Draw
from cellda.data.spec import Protocol


def every_label(labelled: int, groups: Sequence[str], protocol: Protocol) -> Draw:
    """The draw of a laboratory's own cells: all labelled ones, the first rows, are the support; the others are the query."""
    return Draw(
        n=labelled,
        draw=0,
        protocol=protocol,
        kind="all",
        support=tuple(range(labelled)),
        query=tuple(range(labelled, len(groups))),
        unsupported=(),
        untested=(),
        groups=tuple(groups),
    )
