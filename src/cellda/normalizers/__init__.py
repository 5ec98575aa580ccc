"""Stain normalizers: modules that bring images of different stains and cameras to one colour style.

    >>> import cellda.normalizers
    >>> cellda.normalizers.names()
    ['identity', 'reinhard']

`cellda.normalizers.create("reinhard", space="lalphabeta", reference="paper")(images)` normalises a
`(B, 3, H, W)` batch in [0, 1]. A new normalizer is one file in this folder, named after the normalizer (see
`base.Normalizer`).
"""

from typing import TYPE_CHECKING, Any

from cellda.plugins.registry import Registry

if TYPE_CHECKING:
    from cellda.normalizers.base import Normalizer

registry: "Registry[Normalizer]" = Registry("normalizer", "cellda.normalizers")
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary

__all__ = ["Normalizer", "create", "get", "names", "register", "registry", "summary"]


def create(name: str, **options: Any) -> "Normalizer":
    """Build the normalizer `name` with its options.

    Raises:
        UnknownNameError: If no normalizer has this name.
        ConfigurationError: If an option is unknown, mistyped or impossible.
    """
    from cellda.plugins.options import checked_options

    cls = registry.get(name)
    return cls(**checked_options(cls, options, owner=f"normalizer '{name}'"))


def __getattr__(name: str) -> Any:
    # The base class needs torch, which listing plug-ins must not import.
    if name == "Normalizer":
        from cellda.normalizers.base import Normalizer

        return Normalizer
    raise AttributeError(f"module 'cellda.normalizers' has no attribute {name!r}")
