"""Several adapters, chained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Self

from pydantic import SerializeAsAny, field_validator

from cellda.adapters.base import AdaptContext, Adapter, Effect, Need, Offer, Start, TargetView
from cellda.errors import ConfigurationError
from cellda.plugins.settings import Range

if TYPE_CHECKING:
    from cellda.models.classifier import CellClassifier


@dataclass(frozen=True)
class Rule:
    """A rule on the order of adapters in a chain: an adapter with a `step` effect cannot follow one with a `before` effect.

    Attributes:
        step: Effects of the later adapter, any of which the rule applies to.
        before: Effects of the earlier adapter, any of which the rule applies to.
        lifted: Effects that lift the rule if an adapter between the two has any of them.
        reason: The error message, with `{step}` and `{before}` for the names.
    """

    step: frozenset[Effect]
    before: frozenset[Effect]
    reason: str
    lifted: frozenset[Effect] = frozenset()

    def broken(self, step: Adapter, before: Sequence[Adapter]) -> str | None:
        """The name of the first adapter that this rule forbids `step` to follow, or None."""
        names: list[str] = []
        for one in before if self.step & step.effects else ():
            if self.lifted & one.effects:
                names.clear()
            elif self.before & one.effects:
                names.append(one.name)
        return names[0] if names else None


RULES = (
    Rule(
        frozenset({Effect.SOURCE_STATISTICS}),
        frozenset({Effect.SOURCE_STATISTICS}),
        "The adapters '{before}' and '{step}' both start from an encoder with the source's statistics, which the first of "
        "them replaces; use one of the two.",
    ),
    Rule(
        frozenset({Effect.SOURCE_STATISTICS}),
        frozenset({Effect.ENCODER}),
        "The adapter '{step}' starts from an encoder with the source's statistics, and '{before}', which comes before it, "
        "changes the encoder; put '{step}' first.",
    ),
    Rule(
        frozenset({Effect.ENCODER, Effect.HEAD}),
        frozenset({Effect.MEMORY}),
        "The adapter '{step}' changes the model, and '{before}', which comes before it, stores what the model computed "
        "for images before that change; put '{step}' before '{before}'.",
    ),
    Rule(
        frozenset({Effect.NEW_HEAD}),
        frozenset({Effect.HEAD, Effect.NEW_HEAD, Effect.MEMORY}),
        "The adapter '{step}' replaces the head, so the changes '{before}' made to the head would be lost; leave one of "
        "the two out, or put '{before}' after '{step}'.",
        lifted=frozenset({Effect.ENCODER}),  # trained together with that head
    ),
    Rule(
        frozenset({Effect.ENCODER}),
        frozenset({Effect.VIEWS}),
        "The adapter '{step}' changes the encoder, and after '{before}' the model embeds several views of every image; put "
        "'{step}' before '{before}'.",
    ),
)
"""The rules on the order of adapters in a chain; the first broken rule is reported."""


def _refusal(step: Adapter, before: Sequence[Adapter]) -> str | None:
    """Why `step` cannot follow the adapters in `before`, or None."""
    if before and step.start is not Start.SOURCE:
        return (
            f"The adapter '{step.name}' starts from the backbone's own weights, so the work of the adapters before it would "
            "be lost; put it first."
        )
    for rule in RULES:
        if name := rule.broken(step, before):
            return rule.reason.format(step=step.name, before=name)
    return None


class Chain(Adapter):
    """Adapters in the order in which they are applied; each receives the model that the one before returned.

    `Recipe(adapter=("adabn", "lp_ft"))` creates one. Each step sees only what it declared itself. The first step decides where
    the chain starts. Searches and their records name a hyper-parameter `<adapter>.<field>`.

    Attributes:
        steps: Two or more adapters with different names.

    Raises:
        ConfigurationError: If an adapter occurs twice, or the order breaks one of the `RULES`.
    """

    steps: tuple[SerializeAsAny[Adapter], ...]

    @field_validator("steps")
    @classmethod
    def _in_order(cls, steps: tuple[Adapter, ...]) -> tuple[Adapter, ...]:
        names = [step.name for step in steps]
        if len(steps) < 2 or len(set(names)) < len(names):
            raise ConfigurationError(
                f"A chain takes two or more different adapters in order; got {', '.join(names) or 'none'}."
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
    def effects(self) -> frozenset[Effect]:  # type: ignore[override]
        """All effects of all steps."""
        return frozenset().union(*(step.effects for step in self.steps))

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        """The needs of all steps."""
        return frozenset().union(*(step.needs for step in self.steps))

    @property
    def start(self) -> Start:  # type: ignore[override]
        """Where the first step starts."""
        return self.steps[0].start

    @property
    def views(self) -> int:  # type: ignore[override]
        """Number of views of an image that the final model embeds."""
        return prod(step.views for step in self.steps)

    def adapt(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Apply the steps in order."""
        for step in self.steps:
            model = step.apply(model, target, context)
        return model

    def check(self, offer: Offer) -> None:
        """Check every step."""
        for step in self.steps:
            step.check(offer)

    def image_passes(self, offer: Offer) -> int:
        """Images that all steps together send through the backbone, counting the views added by earlier steps."""
        passes, views = 0, 1
        for step in self.steps:
            passes += views * step.image_passes(offer)
            views *= step.views
        return passes

    def parts(self) -> tuple[Adapter, ...]:
        """The steps."""
        return self.steps

    def search_space(self) -> dict[str, Range]:
        """The hyper-parameters of all steps, each named `<adapter>.<field>`."""
        return {
            f"{step.name}.{name}": allowed
            for step in self.steps
            for name, allowed in step.search_space().items()
        }

    def searched(self) -> dict[str, Any]:
        """The current values of all steps."""
        return {
            f"{step.name}.{name}": value for step in self.steps for name, value in step.searched().items()
        }

    def tuned(self, values: Mapping[str, Any]) -> Self:
        """A copy of this chain with these values in its steps."""
        changed = []
        for step in self.steps:
            own = {
                name.partition(".")[2]: value
                for name, value in values.items()
                if name.startswith(f"{step.name}.")
            }
            changed.append(step.tuned(own))
        return type(self)(steps=tuple(changed))
