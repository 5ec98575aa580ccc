"""Which taxonomy a recipe uses, with its options."""

from typing import TYPE_CHECKING

from cellda.plugins.spec import PluginSpec
from cellda.taxonomies import DEFAULT, registry

if TYPE_CHECKING:
    from cellda.taxonomies.base import Taxonomy


class TaxonomySpec(PluginSpec):
    """A taxonomy's registered name and its options."""

    registry = registry

    def build(self) -> "Taxonomy":
        """Build the taxonomy."""
        return registry.create(self.name, **self.options)


PAPER = TaxonomySpec.model_validate(DEFAULT)
"""The taxonomy of the paper."""
