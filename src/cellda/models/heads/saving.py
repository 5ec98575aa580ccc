"""Checks that the heads of a saved model can be loaded: they must be registered, here and in the process that loads it."""

from collections.abc import Iterator, Mapping

from torch import nn

from cellda.errors import ConfigurationError, UnknownNameError
from cellda.models.heads import registry
from cellda.models.heads.base import Head
from cellda.plugins.loading import qualified


def check_registered(head: nn.Module) -> None:
    """Refuse to save a head that cannot be rebuilt from its name.

    Raises:
        ConfigurationError: If it, or one inside it, is not a `Head`, or its class is not the one registered under its name.
    """
    for part in (head, *_heads(head)):
        cls, name = type(part), str(getattr(part, "name", ""))
        if name not in registry or qualified(registry.get(name)) != qualified(cls):
            raise ConfigurationError(
                f"The head of this model is a {qualified(cls)}, which could not be loaded again; an adapter must return a "
                "head that derives from cellda.plugin.Head and is registered under its own name with `register_head`."
            )


def session_heads(head: nn.Module) -> dict[str, str]:
    """The heads, `head` and those inside it, that a new process would not find: name -> the module that registers them."""
    return {
        part.name: type(part).__module__
        for part in _heads(head)
        if not type(part).__module__.startswith("cellda.")
    }


def check_known(registered_by: Mapping[str, str]) -> None:
    """Refuse to load a model with heads that this process does not know.

    Args:
        registered_by: What `session_heads` returned when the model was saved.

    Raises:
        UnknownNameError: If a head is not registered.
    """
    for name, module in registered_by.items():
        if name not in registry:
            raise UnknownNameError(
                f"its head '{name}' was registered by the module {module}, which is not an entry point of an installed "
                f"package. Run or import {module} before the model is loaded, or give the head an entry point in the group "
                f"{registry.package} (docs/plugins.md)."
            )


def _heads(head: nn.Module) -> Iterator[Head]:
    return (part for part in head.modules() if isinstance(part, Head))
