"""A condition: how runs treated their target. Its facts are columns of prediction tables; its name is for display."""

from pydantic import BaseModel, ConfigDict, Field

NO_SOURCE = "none"
"""`Condition.source` of runs that start without a source model."""

ALL_CLASSES = "all"
"""`Condition.present` of runs in which any class could be predicted."""


class Condition(BaseModel):
    """How one run treated its target.

    Attributes:
        name: Its name in tables; it distinguishes the conditions of one study, and no fact is parsed from it.
        adapter: The adapter, or the members of a chain joined by `+` (`"full+tta"`).
        framing: The framing of every image (`"none"`, `"cell"`).
        normalizer: The stain normalizer of the target's images.
        n: Number of labelled cells that the draw asked for. The support holds fewer if they cannot be divided among the
            classes (`cellda.data.few_shot.draw_support`).
        labels_used: Number of target labels that were used before measuring.
        oracle: Whether its values were chosen by query labels, so that it is an upper bound.
        bound: Whether it is a lower or upper bound, shown in the leaderboard but not ranked.
        source: The datasets of the source model, joined by `+` (`"barcelona+munich_2019"`), or name and digest of a trained
            one (`"pooled:2f0c..."`); `"none"` without one.
        present: What was known of the classes: those that can occur, joined by `+` (`"lymphocyte+neutrophil"`), to which
            predictions are limited; `"all"` if nothing was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_min_length=1)

    name: str
    adapter: str
    framing: str
    normalizer: str
    n: int = Field(ge=0)
    labels_used: int = Field(ge=0)
    oracle: bool = False
    bound: bool = False
    source: str
    present: str = ALL_CLASSES

    def columns(self) -> dict[str, str | int | bool]:
        """The columns `condition` and `FACTS` of a prediction table, as `DataFrame.assign` takes them.

        >>> facts = {"adapter": "full", "framing": "none", "normalizer": "reinhard", "source": "barcelona"}
        >>> Condition(name="mine", n=20, labels_used=20, **facts).columns()["condition"]
        'mine'
        """
        facts = self.model_dump()
        return {"condition": facts.pop("name"), **facts}


FACTS = tuple(name for name in Condition.model_fields if name != "name")
"""The columns of a condition's facts: `adapter, framing, normalizer, n, labels_used, oracle, bound, source, present`."""

METHOD = ("adapter", "framing", "normalizer", "source", "present")
"""The facts shared by conditions that differ only in how their values were chosen, or in their labels."""
