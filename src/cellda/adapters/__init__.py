"""Adapters: what is done with the few labelled cells of the target.

    >>> import cellda.adapters
    >>> "full" in cellda.adapters.names()
    True

A new adapter is one file in this folder, named after the method, holding one class (see `base.Adapter`).
"""

from typing import TYPE_CHECKING, Any

from cellda.plugins.registry import Registry

if TYPE_CHECKING:
    from cellda.adapters.base import AdaptContext, Adapter, Effect, Need, Offer, Start, TargetView
    from cellda.adapters.families.embeddings import FeatureAdapter, Features
    from cellda.plugins.settings import tunable

registry: "Registry[Adapter]" = Registry("adapter", "cellda.adapters")
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary

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
    "tunable",
]


def create(name: str, **options: Any) -> "Adapter":
    """Build the adapter `name` with its hyper-parameters.

    Raises:
        UnknownNameError: If no adapter has this name.
        ConfigurationError: If a hyper-parameter is unknown or mistyped, or the registered class is not a whole adapter.
    """
    from pydantic import ValidationError

    from cellda.adapters.base import Adapter
    from cellda.errors import ConfigurationError
    from cellda.plugins.options import describe

    cls = registry.get(name)
    if not issubclass(cls, Adapter):
        raise ConfigurationError(
            f"The class {cls.__module__}.{cls.__qualname__} of the adapter '{name}' does not derive from "
            "cellda.adapters.Adapter."
        )
    if missing := sorted(cls.__abstractmethods__):
        raise ConfigurationError(
            f"The class {cls.__module__}.{cls.__qualname__} of the adapter '{name}' does not define {' and '.join(missing)}, "
            "as every adapter must."
        )
    try:
        return cls(**options)
    except ValidationError as error:
        raise ConfigurationError(describe(error, f"adapter '{name}'", cls.model_fields)) from None


def build(given: Any) -> "Adapter":
    """The adapter that is meant by a name, a mapping with its `name` and options, or several of these in their order.

    Names of a chain may be joined by `+`, as tables and records call them: `"adabn+lp_ft"`.

    Raises:
        UnknownNameError: If no adapter has such a name.
        ConfigurationError: If a hyper-parameter is unknown or mistyped, or it is none of these.
    """
    from collections.abc import Mapping

    from cellda.adapters.base import Adapter
    from cellda.adapters.chain import Chain
    from cellda.errors import ConfigurationError

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
    """Names and options of an adapter as plain data, which `build` takes back."""
    steps = [{"name": step.name, **step.model_dump(mode="json")} for step in adapter.parts()]
    return steps[0] if len(steps) == 1 else steps


def __getattr__(name: str) -> Any:
    # What a plug-in author imports from here; pydantic is not needed for listing names.
    if name == "tunable":
        from cellda.plugins.settings import tunable

        return tunable
    if name in {"FeatureAdapter", "Features"}:
        from cellda.adapters.families import embeddings as features

        return getattr(features, name)
    if name in {"AdaptContext", "Adapter", "Effect", "Need", "Offer", "Start", "TargetView"}:
        from cellda.adapters import base

        return getattr(base, name)
    raise AttributeError(f"module 'cellda.adapters' has no attribute {name!r}")
