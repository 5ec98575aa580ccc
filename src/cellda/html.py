"""How results look in notebooks: HTML without scripts, in the notebook's own colours, so that light and dark ones show it."""

from collections.abc import Iterable, Sequence
from html import escape

from cellda.text import shown

_LINE = "1px solid rgba(128, 128, 128, 0.5)"
_CELL = (
    f"padding: 0.2em 0.8em; border: none; border-bottom: {_LINE}; color: inherit; background: transparent;"
)


def html_text(text: object) -> str:
    """A text without control characters and without markup."""
    return escape(shown(text))


def html_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    notes: Iterable[str] = (),
    names: int = 1,
) -> str:
    """A table; the first `names` columns are left-aligned, the others right-aligned."""

    def line(cells: Sequence[str], tag: str) -> str:
        made = (
            f'<{tag} style="{_CELL} text-align: {"left" if place < names else "right"};">{html_text(cell)}</{tag}>'
            for place, cell in enumerate(cells)
        )
        return f'<tr style="background: transparent;">{"".join(made)}</tr>'

    head = f"<thead>{line(columns, 'th')}</thead>" if any(columns) else ""
    body = "".join(line(row, "td") for row in rows)
    caption = f'<p style="margin: 0.6em 0 0.3em; font-weight: bold;">{html_text(title)}</p>' if title else ""
    table = f'<table style="border-collapse: collapse; margin: 0;">{head}<tbody>{body}</tbody></table>'
    return caption + table + html_lines(notes)


def html_lines(lines: Iterable[str]) -> str:
    """Lines below or above a table."""
    return "".join(f'<p style="margin: 0.2em 0; opacity: 0.75;">{html_text(line)}</p>' for line in lines)


def html_folded(title: str, content: str) -> str:
    """What is shown when its title is clicked."""
    return f'<details style="margin: 0.4em 0;"><summary>{html_text(title)}</summary>{content}</details>'


def html_code(text: str) -> str:
    """A text of several lines as it is written."""
    shown_text = escape(shown(text, lines=True))
    return f'<pre style="margin: 0.4em 0; color: inherit; background: transparent;">{shown_text}</pre>'
