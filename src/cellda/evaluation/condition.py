"""A condition: what runs did with their target. Its facts are columns of prediction tables; its name is for display."""

from pydantic import BaseModel, ConfigDict, Field

NO_SOURCE = "none"
"""`Condition.source` of runs that start without a source model."""


class Condition(BaseModel):
    """What one run did with its target.

    Attributes:
        name: What tables call it; it tells the conditions of one study apart and is not read for facts.
        adapter: The adapter, or the members of a chain joined by `+` (`"full+tta"`).
        framing: The framing of every image (`"none"`, `"cell"`).
        normalizer: The stain normalizer of the target's images.
        n: Number of labelled cells that the draw asked for. The support holds fewer where they cannot be shared out
            among the classes (`cellda.data.few_shot.draw_support`).
        labels_used: Number of target labels that were used before measuring.
        oracle: Whether query labels chose its values, so that it is an upper bound.
        bound: Whether it is one of the bounds between which conditions lie: shown in a leaderboard, not ranked.
        source: The datasets of the source model, joined by `+` (`"barcelona+munich_2019"`); `"none"` without one.
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

    def columns(self) -> dict[str, str | int | bool]:
        """The columns `condition` and `FACTS` of a prediction table, as `DataFrame.assign` takes them.

        >>> facts = {"adapter": "full", "framing": "none", "normalizer": "reinhard", "source": "barcelona"}
        >>> Condition(name="mine", n=20, labels_used=20, **facts).columns()["condition"]
        'mine'
        """
        facts = self.model_dump()
        return {"condition": facts.pop("name"), **facts}


FACTS = tuple(name for name in Condition.model_fields if name != "name")
"""The columns of a condition's facts: `adapter, framing, normalizer, n, labels_used, oracle, bound, source`."""

METHOD = ("adapter", "framing", "normalizer", "source")
"""The facts that two conditions share which differ only in how their values were chosen, or in their labels."""
