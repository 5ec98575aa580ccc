"""Taxonomies: which classes of cells are told apart, and how published names fold into them.

    >>> import cellda.taxonomies
    >>> cellda.taxonomies.create("paper6").fold("Band_Neutrophils")
    'neutrophil'

A new taxonomy is one file in this folder, named after it, holding one class (see `base.Taxonomy`).
"""

from typing import TYPE_CHECKING

from cellda.plugins.registry import Registry

if TYPE_CHECKING:
    from cellda.taxonomies.base import Taxonomy

DEFAULT = "paper6"
"""The taxonomy of the paper."""

registry: "Registry[Taxonomy]" = Registry("taxonomy", "cellda.taxonomies", "cellda.taxonomies.base:Taxonomy")
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary
create = registry.create

__all__ = ["create", "get", "names", "register", "registry", "summary"]
