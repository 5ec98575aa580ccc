"""Heads map embeddings to class logits. A classifier is saved with the name and options of its head.

    >>> import cellda.models.heads
    >>> "mlp" in cellda.models.heads.names()
    True

A new head is one file in this folder, named after it, holding one class (see `base.Head`).
"""

from typing import TYPE_CHECKING, Any

from cellda.plugins.registry import Registry

if TYPE_CHECKING:
    from cellda.models.heads.base import Head

registry: "Registry[Head]" = Registry("head", "cellda.models.heads", "cellda.models.heads.base:Head")
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary

__all__ = ["create", "get", "names", "register", "registry", "summary"]


def create(name: str, width: int, classes: int, **options: Any) -> "Head":
    """Build the head `name` for embeddings of length `width` and the given number of classes, with its saved options.

    Raises:
        UnknownNameError: If no head has this name.
        ConfigurationError: If an option is unknown or mistyped.
    """
    return registry.create(name, width=width, classes=classes, **options)
