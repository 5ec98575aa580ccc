"""Framing: which part of a decoded image is shown to the classifier.

    >>> import cellda.framing
    >>> cellda.framing.names()
    ['cell', 'center', 'none']

A new framing is one file in this folder, named after the framing (see `base.Framing`).
"""

from typing import TYPE_CHECKING, Any

from cellda.plugins.registry import Registry

if TYPE_CHECKING:
    from cellda.framing.base import Framing

registry: "Registry[Framing]" = Registry("framing", "cellda.framing")
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary

__all__ = ["Framing", "create", "get", "names", "register", "registry", "summary"]


def create(name: str, **options: Any) -> "Framing":
    """Build the framing `name` with its options.

    Raises:
        UnknownNameError: If no framing has this name.
        ConfigurationError: If an option is unknown, mistyped or impossible.
    """
    from cellda.plugins.options import checked_options

    cls = registry.get(name)
    return cls(**checked_options(cls, options, owner=f"framing '{name}'"))


def __getattr__(name: str) -> Any:
    # The base class needs torch, which listing plug-ins must not import.
    if name == "Framing":
        from cellda.framing.base import Framing

        return Framing
    raise AttributeError(f"module 'cellda.framing' has no attribute {name!r}")
