"""Descriptions of saved classifiers, edited as somebody could who knows their format."""

import json
from pathlib import Path
from typing import Any

from cellda.models.description import DESCRIPTION, sealed


def described(folder: Path) -> dict[str, Any]:
    """The fields of a description, without its checksum."""
    content = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    content.pop("checksum", None)
    return content


def describe(folder: Path, content: dict[str, Any]) -> None:
    """Write a description with a checksum that fits it."""
    (folder / DESCRIPTION).write_text(json.dumps(sealed(content)), encoding="utf-8")


def first_format(folder: Path, *without: str) -> None:
    """Make the description one of format 1, which had no hash and no checksum, nor, earlier, some of the fields."""
    content = described(folder)
    for name in ("format", "weights", *without):
        content.pop(name, None)
    (folder / DESCRIPTION).write_text(json.dumps(content), encoding="utf-8")
