"""Several adapters, one after the other."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Self

from pydantic import SerializeAsAny, field_validator

from cellda.adapters.base import AdaptContext, Adapter, Need, Offer, Start, TargetView
from cellda.adapters.families.batchnorm import SourceStatistics
from cellda.adapters.families.embeddings import FeatureAdapter
from cellda.errors import ConfigurationError
from cellda.plugins.settings import Range

if TYPE_CHECKING:
    from cellda.models.classifier import CellClassifier


def _refusal(step: Adapter, before: Sequence[Adapter]) -> str | None:
    """Why an adapter cannot follow these, if it cannot."""
    if before and step.start is not Start.SOURCE:
        return (
            f"The adapter '{step.name}' does not go on from a model but starts anew, so that what comes before it "
            "would be lost; put it first."
        )
    moved = [one.name for one in before if one.moves]
    twice = [one.name for one in before if isinstance(one, SourceStatistics)]
    if twice and isinstance(step, SourceStatistics):
        return (
            f"The adapters '{twice[0]}' and '{step.name}' both start from an encoder with the source's statistics, which the "
            "first of them replaces; take one of the two."
        )
    if moved and isinstance(step, SourceStatistics):
        return (
            f"The adapter '{step.name}' starts from an encoder with the source's statistics, and what comes before "
            f"it, '{moved[0]}', may have moved it; put '{step.name}' first."
        )
    stored = [one.name for one in before if one.stores]
    if stored and step.trains:
        return (
            f"The adapter '{step.name}' trains, and what comes before it, '{stored[0]}', remembers what the model as it was "
            f"made of images; put '{step.name}' before '{stored[0]}'."
        )
    unused = _heads_only(before)
    if unused and step.replaces_head:
        return (
            f"The adapter '{step.name}' makes a head of its own, so that what '{unused[0]}' did to the head would be lost; "
            f"leave one of the two out, or put '{unused[0]}' behind '{step.name}'."
        )
    views = prod(one.views for one in before)
    if views > 1 and step.moves:
        return (
            f"The adapter '{step.name}' is not one that works on embeddings alone, so that it cannot follow one that "
            f"makes the model look at {views} views of an image; put it before."
        )
    return None


def _heads_only(before: Sequence[Adapter]) -> list[str]:
    """Names of those that changed the head, and of which nothing has gone into the encoder since."""
    names: list[str] = []
    for one in before:
        names = [] if one.moves else [*names, *([one.name] if isinstance(one, FeatureAdapter) else [])]
    return names


class Chain(Adapter):
    """Adapters in the order in which they are applied; each receives the model that the one before returned.

    `Recipe(adapter=("adabn", "lp_ft"))` makes one. Each sees only what it declared itself. The first decides where the chain
    starts. In a search, and in its records, a value is called `<adapter>.<field>`.

    Attributes:
        steps: Two or more adapters with different names.

    Raises:
        ConfigurationError: If one comes twice, or one comes behind others that it cannot follow.
    """

    steps: tuple[SerializeAsAny[Adapter], ...]

    @field_validator("steps")
    @classmethod
    def _in_order(cls, steps: tuple[Adapter, ...]) -> tuple[Adapter, ...]:
        names = [step.name for step in steps]
        if len(steps) < 2 or len(set(names)) < len(names):
            raise ConfigurationError(
                f"An adapter is one, or several different ones in their order; got {', '.join(names) or 'none'}."
            )
        for place, step in enumerate(steps):
            if reason := _refusal(step, steps[:place]):
                raise ConfigurationError(reason)
        return steps

    @property
    def name(self) -> str:  # type: ignore[override]
        """The names of the steps, joined by `+`."""
        return "+".join(step.name for step in self.steps)

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        """All that any step needs."""
        return frozenset().union(*(step.needs for step in self.steps))

    @property
    def start(self) -> Start:  # type: ignore[override]
        """Where the first step starts."""
        return self.steps[0].start

    @property
    def views(self) -> int:  # type: ignore[override]
        """Views of an image that the model looks at in the end."""
        return prod(step.views for step in self.steps)

    def adapt(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Apply the steps in their order."""
        for step in self.steps:
            model = step.adapt(model, target.seen_by(step), context.seen_by(step))
        return model

    def check(self, offer: Offer) -> None:
        """Ask every step."""
        for step in self.steps:
            step.check(offer)

    def image_passes(self, offer: Offer) -> int:
        """What all steps together send through the backbone, each with the views that those before it look at."""
        passes, views = 0, 1
        for step in self.steps:
            passes += views * step.image_passes(offer)
            views *= step.views
        return passes

    def parts(self) -> tuple[Adapter, ...]:
        """The steps."""
        return self.steps

    def search_space(self) -> dict[str, Range]:
        """The values of all steps, each called `<adapter>.<field>`."""
        return {
            f"{step.name}.{name}": allowed
            for step in self.steps
            for name, allowed in step.search_space().items()
        }

    def searched(self) -> dict[str, Any]:
        """The present values of all steps."""
        return {
            f"{step.name}.{name}": value for step in self.steps for name, value in step.searched().items()
        }

    def tuned(self, values: Mapping[str, Any]) -> Self:
        """This chain with other values in its steps."""
        changed = []
        for step in self.steps:
            own = {
                name.partition(".")[2]: value
                for name, value in values.items()
                if name.startswith(f"{step.name}.")
            }
            changed.append(step.tuned(own))
        return type(self)(steps=tuple(changed))
