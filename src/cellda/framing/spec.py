"""Which framing a recipe uses, with its options."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from cellda.framing import registry
from cellda.plugins.spec import PluginSpec

if TYPE_CHECKING:
    from cellda.framing.base import Framing
    from cellda.framing.scale import Found


class FramingSpec(PluginSpec):
    """A framing's registered name and its options."""

    registry = registry

    def build(self) -> "Framing":
        """Build the framing."""
        return registry.create(self.name, **self.options)

    def fitted(self, found: "Sequence[Found | None]") -> Self:
        """The same framing with the options that the images of one dataset decide.

        Args:
            found: What `Framing.measure` returned for each of them.
        """
        return type(self)(name=self.name, **{**self.options, **self.build().learned(found)})
