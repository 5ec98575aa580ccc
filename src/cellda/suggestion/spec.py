"""Which suggester is used, with its options."""

from typing import TYPE_CHECKING

from cellda.plugins.spec import PluginSpec
from cellda.suggestion.suggesters import registry

if TYPE_CHECKING:
    from cellda.suggestion.suggesters.base import Suggester


class SuggesterSpec(PluginSpec):
    """A suggester's registered name and its options."""

    registry = registry

    def build(self) -> "Suggester":
        """Build the suggester."""
        return registry.create(self.name, **self.options)
