"""The trained source models that ship with cellda, as recipes."""

from pydantic import Field

from cellda import Recipe
from cellda.plugins.settings import Settings


class Release(Settings):
    """One model.

    Attributes:
        name: Its registered name, and that of its folder.
        summary: What it is, in one line.
        recipe: How it is trained; what it says of adaptation is not used.
        left_out: Datasets that the same recipe is measured on after training without them (leave one dataset out).
    """

    name: str = Field(pattern="^[a-z][a-z0-9_]*$")
    summary: str = Field(min_length=1, max_length=200, pattern=r"\.$")
    recipe: Recipe
    left_out: tuple[str, ...]


TARGETS = ("jiangxi_tecom", "jin_woo_choi", "raabin", "bccd")
"""The targets of the studies on real images."""

SOURCES = ("barcelona", "munich_2019", *TARGETS)

BASE = Recipe.preset("laptop").with_(adapter="none")

POOLED = BASE.with_(
    sources=SOURCES,
    framing="cell",
    backbone={"image_size": 96},
    training={"stain_jitter": 1.0, "epochs": 8, "pooling": "root", "compared": "own"},
)
"""As measured in `benchmarks.questions.source_pools`."""

RELEASES = (
    Release(
        name="barcelona",
        summary="Trained on Barcelona alone, whole images at 128 px: the source model of the paper's comparison.",
        recipe=BASE.with_(sources="barcelona"),
        left_out=TARGETS,
    ),
    Release(
        name="pooled",
        summary="Trained on six laboratories, every cell framed alike, stains varied.",
        recipe=POOLED,
        left_out=("barcelona", *TARGETS),
    ),
)
"""In the order in which they are made."""
