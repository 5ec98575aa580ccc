"""The one exception family of cellda: every error that a user can cause and fix."""

import difflib
from collections.abc import Iterable, Sequence

from cellda.text import shortened, shown


class CelldaError(Exception):
    """A problem that the user can fix; the message says what was wrong, where, and what would be right.

    The command line prints the message without a traceback and exits with status 2. Control characters, which names of files
    may hold, are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shown(message, lines=True))


class UnknownNameError(CelldaError, ValueError):
    """A name that does not belong to any registered member, class or column."""


class ConfigurationError(CelldaError, ValueError):
    """A recipe that cannot work, alone or with the given target and data."""


LISTED = 100
"""Problems that one message lists; more are counted."""

LINE = 600
"""Characters of one problem in a message."""


class DataError(CelldaError):
    """Files or rows that cannot be used.

    Args:
        summary: What was read and what went wrong, one sentence.
        problems: One line per file or row. The message lists the first `LISTED` and counts the others; `problems` holds them
            all, and `cellda datasets check --all` prints them.
        unknown: Labels among the problems that are not known; `cellda datasets check --map` drafts what they may mean.
    """

    def __init__(self, summary: str, problems: Sequence[str] = (), unknown: Iterable[str] = ()) -> None:
        self.unknown = tuple(unknown)
        self.summary = shown(summary, lines=True)
        self.problems = tuple(map(shown, problems))
        more = len(self.problems) - LISTED
        listed = [f"  - {shortened(problem, LINE)}" for problem in self.problems[:LISTED]]
        if more > 0:
            listed.append(
                f"  ... and {more:,} more (`cellda datasets check --all` lists all problems of a dataset)"
            )
        super().__init__("\n".join([shortened(self.summary, 4 * LINE), *listed]))


def quoted(value: object) -> str:
    """A value as Python writes it, for messages; what is long or cannot be written is shortened."""
    try:
        return shortened(repr(value), 200)
    except (ValueError, RecursionError):  # a number of thousands of digits, or a trap
        return f"a {type(value).__name__} that cannot be written out"


_LONGEST, _COMPARED = 100, 400
"""Characters of a name, and number of names, that are compared."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known names nearest to `name`, as the end of an error message.

    >>> nearest("reinhart", ["identity", "reinhard"])
    "did you mean 'reinhard'? Known: identity, reinhard."
    """
    names = sorted(known)
    # A table of a megabyte may have 100,000 columns, or one of a megabyte.
    candidates = [n for n in names if len(n) <= _LONGEST][:_COMPARED]
    close = difflib.get_close_matches(
        name[:_LONGEST].lower(), [n.lower() for n in candidates], n=2, cutoff=0.6
    )
    hits = [n for n in candidates if n.lower() in close]
    listed = f"nown: {shortened(', '.join(names[:_COMPARED]), LINE)}."
    if not hits:
        return f"k{listed}" if names else "none are known."
    return f"did you mean {' or '.join(repr(n) for n in hits)}? K{listed}"
