r"""Names as they are shown and stored: control characters, bytes that are not UTF-8, and cells that a spreadsheet would run.

A file name may hold anything but a slash and a zero byte. Shown raw, it could move the cursor of a terminal or forge a line;
stored raw, it could end a row, break an encoder, or run as a formula. Three functions cover every place:

- `shown` for people: terminals, messages, reports.
- `plain` for stored tables and records: UTF-8 without control characters, from which `original` returns the name.
- `csv_safe` for CSV: a leading apostrophe where a spreadsheet would see a formula in a plain text. `original` removes it, too.

Characters are escaped as `\u{1b}`, undecodable bytes as `\u{dcff}` (Python's surrogates for file names). Any other name stays
as it is, also with a backslash in it.
"""

import re
from typing import overload

_CONTROL = (
    "\x00-\x1f\x7f-\x9f"  # C0, delete, C1: escape sequences begin with one of them
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # line ends, and marks that reorder what is shown
    "\ud800-\udfff"  # undecodable bytes of file names
    "\ufdd0-\ufdef\ufffe\uffff"  # not characters
)
_UNSAFE = re.compile(f"[{_CONTROL}]")
_UNSAFE_BUT_LINES = re.compile(f"(?!\n)[{_CONTROL}]")
_LOOKS_ESCAPED = re.compile(r"\\(?=u\{)")
_ESCAPED = re.compile(r"\\u\{([0-9a-f]{1,6})\}")
_AGREEING = re.compile(r"\(s\)|\(([\w ]+)\|([\w ]+)\)")
_FORMULA = ("=", "+", "-", "@", "'", "＝", "＋", "－", "＠")


def shortened(text: str, most: int) -> str:
    """A text, with its middle left out if it is longer than `most` characters."""
    return (
        text if len(text) <= most else f"{text[: most - most // 4 - 5]} ... {text[len(text) - most // 4 :]}"
    )


def shown(text: object, *, lines: bool = False) -> str:
    """A text for people: control characters and undecodable bytes are escaped.

    Args:
        text: What to show; anything else than text is converted by `str`.
        lines: Whether line ends are kept, for texts of several lines.
    """
    return (_UNSAFE_BUT_LINES if lines else _UNSAFE).sub(_escape, str(text))


@overload
def plain(text: str) -> str: ...
@overload
def plain(text: None) -> None: ...
def plain(text: str | None) -> str | None:
    r"""A name for stored tables: valid UTF-8 without control characters, and never the same for two names.

    >>> plain("smear\n3/cell.png")
    'smear\\u{a}3/cell.png'
    """
    return None if text is None else _UNSAFE.sub(_escape, _LOOKS_ESCAPED.sub(r"\\u{5c}", text))


def csv_safe(text: str) -> str:
    """A plain text for a cell of a CSV file: an apostrophe before what a spreadsheet could run as a formula.

    >>> csv_safe("=1+1.png")
    "'=1+1.png"
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def from_csv(text: str) -> str:
    """The text that `csv_safe` was given."""
    return text.removeprefix("'")


def original(text: str, *, csv: bool = False) -> str:
    """The name from which `plain` (with `csv`: and `csv_safe`) made a text."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), from_csv(text) if csv else text)


def counted(number: int, what: str) -> str:
    """A number with words that agree with it.

    >>> counted(1, "image(s) (is|are) flagged")
    '1 image is flagged'
    >>> counted(2000, "image(s) (is|are) flagged")
    '2,000 images are flagged'

    Args:
        number: How many.
        what: Words that follow the number: `(s)` is added, and the second of `(is|are)` taken, unless it is 1.
    """
    return f"{number:,} {agreeing(number, what)}"


def agreeing(number: int, words: str) -> str:
    """Words that agree with a number, as in `counted`, without the number."""
    return _AGREEING.sub(lambda found: (found[2] or "s") if number != 1 else (found[1] or ""), words)


def _escape(found: "re.Match[str]") -> str:
    return f"\\u{{{ord(found[0]):x}}}"
