"""The one exception family of cellda: every error that a user can cause and fix."""

import difflib
from collections.abc import Iterable, Sequence

from cellda.text import shown


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


class DataError(CelldaError):
    """Files or rows that cannot be used.

    Args:
        summary: What was read and what went wrong, one sentence.
        problems: One line per file or row; the message lists them all.
    """

    def __init__(self, summary: str, problems: Sequence[str] = ()) -> None:
        self.summary = shown(summary, lines=True)
        self.problems = tuple(map(shown, problems))
        super().__init__("\n".join([self.summary, *(f"  - {problem}" for problem in self.problems)]))


def nearest(name: str, known: Iterable[str]) -> str:
    """The known names nearest to `name`, as the end of an error message.

    >>> nearest("reinhart", ["identity", "reinhard"])
    "did you mean 'reinhard'? Known: identity, reinhard."
    """
    names = sorted(known)
    close = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=2, cutoff=0.6)
    hits = [n for n in names if n.lower() in close]
    listed = f"nown: {', '.join(names)}."
    if not hits:
        return f"k{listed}" if names else "none are known."
    return f"did you mean {' or '.join(repr(n) for n in hits)}? K{listed}"
