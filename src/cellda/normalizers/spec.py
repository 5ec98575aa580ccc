"""Which normalizer a recipe uses, with its options."""

from typing import TYPE_CHECKING

from cellda.normalizers import registry
from cellda.plugins.spec import PluginSpec

if TYPE_CHECKING:
    from cellda.normalizers.base import Normalizer


class NormalizerSpec(PluginSpec):
    """A normalizer's registered name and its options."""

    registry = registry

    def build(self) -> "Normalizer":
        """Build a new, unfitted normalizer."""
        return registry.create(self.name, **self.options)
