"""How a recipe uses its target: identical images, and how the support set is drawn."""

from typing import Literal

from pydantic import Field

from cellda.plugins.settings import Settings

MOST = 1_000_000_000
"""The largest seed, draw and number of images: seeds made of them fit the random generators."""

Protocol = Literal["clean", "paper"]
"""`clean`: groups never straddle; `paper`: the published image-level draw."""

Twins = Literal["refuse", "keep", "drop"]
"""What is done with identical images under different classes."""

Kind = Literal["balanced", "stratified", "random", "all"]
"""How the support set is divided among the classes."""


class FewShot(Settings):
    """How the support set is drawn from the target.

    Attributes:
        n: Number of labelled images; None takes the paper's number for this dataset (Table 3), and where it has none (or,
            for JSLH, drew none) 100 from 1,000 images on, else a tenth; of your own cells half, at most 100.
        draw: Which draw; every method sees the same support set in the same draw.
        kind: `"balanced"` (as many of each class as possible), `"stratified"` (in proportion), `"random"`, or `"all"`: every
            cell of the support side, whatever its number, for upper bounds.
    """

    n: int | None = Field(default=None, ge=1, le=MOST)
    draw: int = Field(default=0, ge=0, le=MOST)
    kind: Kind = "balanced"
