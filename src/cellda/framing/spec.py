"""Which framing a recipe uses, with its options."""

from typing import TYPE_CHECKING

from cellda.framing import registry
from cellda.plugins.spec import PluginSpec

if TYPE_CHECKING:
    from cellda.framing.base import Framing


class FramingSpec(PluginSpec):
    """A framing's registered name and its options."""

    registry = registry

    def build(self) -> "Framing":
        """Build the framing."""
        return registry.create(self.name, **self.options)
