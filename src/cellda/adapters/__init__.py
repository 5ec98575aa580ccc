"""Adapters: what is done with the few labelled cells of the target.

    >>> import cellda.adapters
    >>> cellda.adapters.names()
    ['from_scratch', 'full', 'head_only', 'mixed_source', 'none']

A new adapter is one file in this folder, named after the method, holding one class (see `base.Adapter`).
"""

from typing import TYPE_CHECKING, Any

from cellda.registry import Registry

if TYPE_CHECKING:
    from cellda.adapters.base import AdaptContext, Adapter, Need, Start, TargetView
    from cellda.adapters.features import FeatureAdapter
    from cellda.settings import tunable

registry: "Registry[Adapter]" = Registry("adapter", "cellda.adapters")
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary

__all__ = [
    "AdaptContext",
    "Adapter",
    "FeatureAdapter",
    "Need",
    "Start",
    "TargetView",
    "create",
    "get",
    "names",
    "register",
    "registry",
    "summary",
    "tunable",
]


def create(name: str, **options: Any) -> "Adapter":
    """Build the adapter `name` with its hyper-parameters.

    Raises:
        UnknownNameError: If no adapter has this name.
        ConfigurationError: If a hyper-parameter is unknown or mistyped.
    """
    from pydantic import ValidationError

    from cellda.errors import ConfigurationError
    from cellda.options import describe

    cls = registry.get(name)
    try:
        return cls(**options)
    except ValidationError as error:
        raise ConfigurationError(describe(error, f"adapter '{name}'", cls.model_fields)) from None


def __getattr__(name: str) -> Any:
    # What a plug-in author imports from here; pydantic is not needed for listing names.
    if name == "tunable":
        from cellda.settings import tunable

        return tunable
    if name == "FeatureAdapter":
        from cellda.adapters.features import FeatureAdapter

        return FeatureAdapter
    if name in {"AdaptContext", "Adapter", "Need", "Start", "TargetView"}:
        from cellda.adapters import base

        return getattr(base, name)
    raise AttributeError(f"module 'cellda.adapters' has no attribute {name!r}")
