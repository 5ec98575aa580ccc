"""A mapping file: what a laboratory's own names of classes mean (`labels.yaml`), read back and drafted."""

from collections.abc import Iterable
from pathlib import Path

from cellda.errors import ConfigurationError, DataError
from cellda.plugins import yaml_text
from cellda.runtime.given import path_of
from cellda.taxonomies.base import Taxonomy
from cellda.text import shown

OPEN = "???"
"""Stands for a class that somebody still has to write."""

Words = dict[str, str | None]
"""Own name -> a name that the taxonomy knows; None for cells to leave out."""


def read_words(file: str | Path) -> Words:
    """Read a mapping file.

    Raises:
        DataError: If it cannot be read, is not a mapping of texts, or classes are still to be written.
    """
    path = path_of(file)
    try:
        content = yaml_text.load(path.read_text(encoding="utf-8"), "the mapping")
    except (OSError, UnicodeDecodeError, ConfigurationError) as error:
        raise DataError(f"The mapping {path} cannot be read: {error}.") from None
    if not isinstance(content, dict) or not content:
        raise DataError(f"The mapping {path} holds no lines `own name: class`.")
    problems = []
    for name, word in content.items():
        if not isinstance(name, str) or not (word is None or isinstance(word, str)):
            problems.append(
                f"{name!r}: {word!r} is not `own name: class`; put names that look like numbers in quotes"
            )
        elif word == OPEN:
            problems.append(f"'{shown(name)}' has no class yet: write one, or null to leave these cells out")
    if problems:
        raise DataError(f"The mapping {path} cannot be used.", problems)
    return content


def draft(names: Iterable[str], taxonomy: Taxonomy) -> str:
    """The text of a mapping file for some names: the nearest known name of each filled in, to be checked by a person."""
    lines = [
        "# What the names in your data mean: own name -> class. Check every line; null leaves cells out.",
        f"# Classes: {', '.join(taxonomy.classes)}; other types of cells, such as smudge cell, may be written too",
    ]
    for name in dict.fromkeys(names):
        # Of three letters, most are near to some abbreviation.
        near = taxonomy.nearest(name) if len(name) > 3 else []
        word = near[0] if near else OPEN
        more = f"  # or {', '.join(near[1:])}" if len(near) > 1 else ""
        lines.append(yaml_text.dump({name: word}).strip() + more)
    return "\n".join(lines) + "\n"
