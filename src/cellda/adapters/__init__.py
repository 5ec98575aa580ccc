"""Adapters: methods that adapt a source model to the target.

    >>> import cellda.adapters
    >>> "full" in cellda.adapters.names()
    True

A new adapter is one file in this folder, named after the method, holding one class (see `base.Adapter`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import lazy_loader

from cellda.errors import ConfigurationError
from cellda.plugins.registry import Registry

if TYPE_CHECKING:
    from cellda.adapters.base import AdaptContext, Adapter, Effect, Need, Offer, Start, TargetView
    from cellda.adapters.families.embeddings import FeatureAdapter, Features
else:  # listing names must not import pydantic
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "base": ["AdaptContext", "Adapter", "Effect", "Need", "Offer", "Start", "TargetView"],
            "families.embeddings": ["FeatureAdapter", "Features"],
        },
    )

registry: "Registry[Adapter]" = Registry("adapter", "cellda.adapters", "cellda.adapters.base:Adapter")
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary
create = registry.create

__all__ = [
    "AdaptContext",
    "Adapter",
    "Effect",
    "FeatureAdapter",
    "Features",
    "Need",
    "Offer",
    "Start",
    "TargetView",
    "build",
    "create",
    "described",
    "get",
    "names",
    "register",
    "registry",
    "summary",
]


def build(given: Any) -> "Adapter":
    """Build an adapter from a name, a mapping with its `name` and options, or a list of these (a chain).

    Names of chained adapters may be joined by `+`, as in tables and records: `"adabn+lp_ft"`.

    Raises:
        UnknownNameError: If no adapter has such a name.
        ConfigurationError: If a hyper-parameter is unknown or has the wrong type, or `given` is none of these.
    """
    # Listing names must not import pydantic.
    from cellda.adapters.base import Adapter
    from cellda.adapters.chain import Chain

    if isinstance(given, Adapter):
        return given
    if isinstance(given, str) and "+" in given:
        return build(given.split("+"))
    if isinstance(given, str):
        return create(given)
    if isinstance(given, Mapping) and isinstance(given.get("name"), str):
        return create(**{str(option): value for option, value in given.items()})
    if isinstance(given, list | tuple):
        steps = tuple(build(step) for step in given)
        return steps[0] if len(steps) == 1 else Chain(steps=steps)
    raise ConfigurationError(
        f"give the name of an adapter, a mapping with its 'name' and options, or a list of these (got {given!r}). "
        f"Known: {', '.join(names())}."
    )


def described(adapter: "Adapter") -> "dict[str, Any] | list[dict[str, Any]]":
    """Names and options of an adapter as plain data, from which `build` recreates it."""
    steps = [{"name": step.name, **step.model_dump(mode="json")} for step in adapter.parts()]
    return steps[0] if len(steps) == 1 else steps
