"""Selectors score the trials of a search, which chooses the values of an adapter by these scores.

    >>> import cellda.selection.selectors
    >>> cellda.selection.selectors.names()
    ['entropy', 'fixed', 'info_max', 'oracle', 'snd', 'source_val', 'support_cv']

A new selector is one file in this folder, named after the selector, holding one class (see `base.Selector`).
"""

from typing import TYPE_CHECKING

from cellda.plugins.registry import Registry

if TYPE_CHECKING:
    from cellda.selection.selectors.base import Selector

registry: "Registry[Selector]" = Registry(
    "selector", "cellda.selection.selectors", "cellda.selection.selectors.base:Selector"
)
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary
create = registry.create

__all__ = ["create", "get", "names", "register", "registry", "summary"]
