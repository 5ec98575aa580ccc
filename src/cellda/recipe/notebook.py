"""A recipe in a notebook: what differs from the default, and everything folded."""

from collections.abc import Mapping
from typing import Any

from cellda.html import html_code, html_folded, html_lines, html_table


def recipe_html(given: Mapping[str, Any], default: Mapping[str, Any], digest: str, yaml: str) -> str:
    """The fields of a recipe that differ from the default, and the whole recipe folded.

    Args:
        given: The recipe as plain data.
        default: The default recipe as plain data.
        digest: The recipe's digest.
        yaml: The whole recipe.
    """
    rows = _differing(given, default)
    title = f"Recipe {digest}"
    table = (
        html_table(title, ("field", "value"), rows, names=2)
        if rows
        else html_table(title, (), ()) + html_lines(["the default recipe"])
    )
    return f"<div>{table}{html_folded('all fields', html_code(yaml))}</div>"


def plain_values(values: Any) -> str:
    """Plain data in one line: `name` with its options, lists with commas."""
    if isinstance(values, Mapping):
        return ", ".join(f"{name} = {plain_values(value)}" for name, value in values.items())
    if isinstance(values, list | tuple):
        nested = any(isinstance(one, Mapping) for one in values)
        return ("; " if nested else ", ").join(map(plain_values, values))
    return "none" if values is None else str(values)


def _differing(given: Any, default: Any, name: str = "") -> list[tuple[str, str]]:
    """Dotted name and value of what differs; options of another plug-in than the default's are all shown."""
    if given == default:
        return []
    another = (
        isinstance(given, Mapping)
        and isinstance(default, Mapping)
        and given.get("name") != default.get("name")
    )
    if isinstance(given, Mapping) and isinstance(default, Mapping) and not (another and name):
        return [
            row
            for key, value in given.items()
            for row in _differing(value, default.get(key), f"{name}.{key}".lstrip("."))
        ]
    return [(name, plain_values(given))]
