"""What is recorded of the framing of one dataset; light, because records are read without any image."""

from typing import Any

from cellda.plugins.settings import Settings
from cellda.text import agreeing, counted

MANY = 1 / 3
"""Share of images of an unusual size, above which a dataset may be of two magnifications."""


class FramingAccount(Settings):
    """What a record says of the framing of one dataset.

    Attributes:
        framing: The framing with what it learned from the images, as plain data.
        missed: Number of images in which it did not find what it looks for.
        unusual: Number of images of an unusual size, which take the nearest usual one.
        news: What a user has to know of what it learned; may be empty.
    """

    framing: dict[str, Any]
    missed: int
    unusual: int
    news: str = ""

    def lines(self, dataset: str) -> list[str]:
        """What a user has to know, one sentence a line, without a full stop."""
        lines = [f"{dataset}: {self.news.rstrip('.')}"] if self.news else []
        if self.missed:
            whole = not (self.framing.get("scale") or {}).get("middle")
            lines.append(
                f"No cell was found in {counted(self.missed, 'image(s)')} of {dataset}, which "
                f"{agreeing(self.missed, '(is|are)')} {'shown whole' if whole else 'cut around the middle at the usual size'}"
            )
        if self.unusual:
            images = (self.framing.get("scale") or {}).get("images", 0)
            two = "; with so many, the images may be of two magnifications: if they are, use them as two datasets"
            lines.append(
                f"{counted(self.unusual, 'image(s)')} of {dataset} with a nucleus of unusual size "
                f"{agreeing(self.unusual, '(is|are)')} cut at the nearest usual one{two * (self.unusual > images * MANY)}"
            )
        return lines
