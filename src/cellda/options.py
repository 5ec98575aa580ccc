"""Options of plug-ins, checked against the types their constructors declare."""

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from cellda.errors import ConfigurationError, nearest


def options_model(cls: type) -> type[BaseModel]:
    """A pydantic model of the keyword arguments of `cls.__init__`, strict about names."""
    hints = get_type_hints(cls.__init__)  # type: ignore[misc]
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue  # nn.Module's own constructor: the class has no options
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (hints.get(name, Any), default)
    return create_model(
        f"{cls.__name__}Options",
        __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True),
        **fields,
    )


def checked_options(cls: type, options: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """All options of `cls` by name, defaults included, after type checks.

    Args:
        cls: A plug-in class whose options are the typed keyword arguments of its constructor.
        options: What the user gave.
        owner: How messages call the plug-in, for example `"normalizer 'reinhard'"`.

    Raises:
        ConfigurationError: If an option is unknown or mistyped; all of them are listed.
    """
    model = options_model(cls)
    try:
        validated = model.model_validate(dict(options))
    except ValidationError as error:
        raise ConfigurationError(describe(error, owner, model.model_fields)) from None
    return {name: getattr(validated, name) for name in model.model_fields}


def describe(error: ValidationError, owner: str, known: Mapping[str, Any]) -> str:
    """All problems of a pydantic validation in sentences, with near names for unknown fields.

    Args:
        error: What pydantic found.
        owner: Whose options they are, for example `"the recipe"`.
        known: The names of the fields there are.
    """
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            hint = nearest(where, known) if len(problem["loc"]) == 1 else "there is no such field."
            lines.append(f"unknown field '{where}': {hint}")
        elif problem["type"] == "value_error":
            lines.append(f"field '{where}': {problem['ctx']['error']}")
        else:
            lines.append(f"field '{where}': {problem['msg']} (got {problem['input']!r})")
    return f"The options of {owner} are not valid:\n" + "\n".join(f"  - {line}" for line in lines)
