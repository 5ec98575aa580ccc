"""Options of plug-ins, checked against the types that their constructors declare."""

import inspect
from collections.abc import Mapping
from functools import cache
from textwrap import indent
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo

from cellda.errors import ConfigurationError, nearest, quoted
from cellda.plugins.loading import located
from cellda.plugins.settings import Checked

T = TypeVar("T")


class _Options(Checked):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


@cache
def options_model(cls: type) -> type[BaseModel]:
    """A pydantic model of the keyword arguments of `cls.__init__`, strict about names.

    Raises:
        ConfigurationError: If an argument has no type, or its type cannot be resolved.
    """
    where = located(cls)
    try:
        hints = get_type_hints(cls.__init__, include_extras=True)  # type: ignore[misc]
    except NameError as error:
        raise ConfigurationError(
            f"The types of the options of {where} cannot be read: {error}. Import that name at run time, not only under "
            "`if TYPE_CHECKING:`."
        ) from error
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue  # nn.Module's own constructor, so the class has no options
        if name not in hints:
            raise ConfigurationError(
                f"The option '{name}' of {where} has no type, so it cannot be checked; write `{name}: float`, or "
                "whichever type it has, in its `__init__`."
            )
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (hints[name], default)
    return create_model(
        f"{cls.__name__}Options",
        __base__=_Options,
        **fields,
    )


def built(cls: type[T], options: Mapping[str, Any], owner: str) -> T:
    """Build a plug-in from its options: fields of a settings class, or typed keyword arguments of a constructor.

    Raises:
        ConfigurationError: If an option is unknown, mistyped or impossible; all of them are listed.
    """
    if not issubclass(cls, BaseModel):
        return cls(**checked_options(cls, options, owner))
    try:
        return cls(**options)
    except ValidationError as error:
        raise ConfigurationError(describe(error, owner, cls.model_fields)) from None


def checked_options(cls: type, options: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """All options of `cls` by name, defaults included, after type checks.

    Args:
        cls: A plug-in class whose options are the typed keyword arguments of its constructor.
        options: The options given by the user.
        owner: Name of the plug-in in messages, for example `"normalizer 'reinhard'"`.

    Raises:
        ConfigurationError: If an option is unknown or mistyped; all of them are listed.
    """
    model = options_model(cls)
    try:
        validated = model.model_validate(dict(options))
    except ValidationError as error:
        raise ConfigurationError(describe(error, owner, model.model_fields)) from None
    return {name: getattr(validated, name) for name in model.model_fields}


def describe(error: ValidationError, owner: str, known: Mapping[str, FieldInfo]) -> str:
    """All problems of a pydantic validation in sentences, with the nearest names for unknown fields.

    Args:
        error: The validation error.
        owner: Owner of the settings, for example `"the recipe"`.
        known: The existing fields, by name.
    """
    problems = error.errors()
    places = {problem["loc"] for problem in problems}
    lines = []
    for problem in problems:
        place = problem["loc"]
        if problem["type"] == "too_short" and any(other[: len(place)] == place for other in places - {place}):
            continue  # pydantic does not count the members that have problems themselves
        if problem["type"] == "default_factory_not_called":
            continue  # a default that depends on fields that have problems themselves
        where = ".".join(str(part) for part in place)
        if problem["type"] == "extra_forbidden":
            siblings = _fields_below(known, place[:-1])
            lines.append(f"unknown field '{where}': {nearest(str(place[-1]), siblings)}")
        elif problem["type"] == "missing":
            lines.append(f"field '{where}' is missing")
        elif problem["type"] == "model_type":
            fields = ", ".join(_fields_below(known, place))
            lines.append(
                f"field '{where}' must be a mapping of its fields: {fields} (got {quoted(problem['input'])})"
            )
        elif problem["type"] == "value_error":
            what = f"field '{where}': " if where else ""  # of the settings as a whole
            lines.append(f"{what}{problem['ctx']['error']}")
        else:
            lines.append(f"field '{where}': {problem['msg']} (got {quoted(problem['input'])})")
    listed = "\n".join(f"- {line}" for line in lines)
    return f"The settings of {owner} are not valid:\n{indent(listed, '  ')}"


def _fields_below(known: Mapping[str, FieldInfo], place: tuple[int | str, ...]) -> Mapping[str, FieldInfo]:
    """The fields of the settings at `place` inside other settings; empty if there are none."""
    for part in place:
        if isinstance(part, str):
            field = known.get(part)
            known = {} if field is None else _settings_in(field.annotation)
    return known


def _settings_in(annotation: Any) -> Mapping[str, FieldInfo]:
    """The fields of the first settings class in a type: `Search`, `Search | None`, `tuple[Source, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.model_fields
    return next((found for part in get_args(annotation) if (found := _settings_in(part))), {})
