"""Suggesters say which cells to label next, from embeddings, probabilities and the labels that there are.

    >>> import cellda.suggestion.suggesters
    >>> cellda.suggestion.suggesters.names()
    ['badge', 'class_balance', 'coreset', 'entropy', 'margin', 'probcover', 'random', 'schedule', 'typiclust']

A new suggester is one file in this folder, named after the suggester, holding one class (see `base.Suggester`).
"""

from typing import TYPE_CHECKING

from cellda.plugins.registry import Registry

if TYPE_CHECKING:
    from cellda.suggestion.suggesters.base import Suggester

registry: "Registry[Suggester]" = Registry(
    "suggester", "cellda.suggestion.suggesters", "cellda.suggestion.suggesters.base:Suggester"
)
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary
create = registry.create

__all__ = ["create", "get", "names", "register", "registry", "summary"]
