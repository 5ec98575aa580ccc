"""Which taxonomy a recipe uses, with its options."""

import json
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from cellda.plugins.spec import PluginSpec
from cellda.taxonomies import DEFAULT, registry

if TYPE_CHECKING:
    from collections.abc import Hashable

    from cellda.taxonomies.base import Taxonomy


class TaxonomySpec(PluginSpec):
    """A taxonomy's registered name and its options."""

    registry = registry

    def build(self) -> "Taxonomy":
        """Build the taxonomy; equal specs share one, which nothing changes."""
        member = cast("Hashable", registry.get(self.name))  # a class is hashable, whatever its objects are
        return _built(member, self.name, json.dumps(self.options, sort_keys=True))


PAPER = TaxonomySpec.model_validate(DEFAULT)
"""The taxonomy of the paper."""


@lru_cache(100)
def _built(_member: "Hashable", name: str, options: str) -> "Taxonomy":
    """A taxonomy by the class that has its name now."""
    return registry.create(name, **json.loads(options))
