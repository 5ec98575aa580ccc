"""Paths inside settings: relative ones are relative to the file in which they are written."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cellda.plugins.options import options_model
from cellda.plugins.spec import PluginSpec


@dataclass(frozen=True)
class Place:
    """Marks a text field that holds a path, or one of these names."""

    names: tuple[str, ...] = ()


def options_of(member: type) -> Mapping[str, FieldInfo]:
    """The options of a plug-in class, by name."""
    settings: Mapping[str, FieldInfo] | None = getattr(member, "model_fields", None)
    return options_model(member).model_fields if settings is None else settings


def anchored(given: Mapping[str, Any], fields: Mapping[str, FieldInfo], folder: Path) -> dict[str, Any]:
    """Plain data of settings, with every relative path in it made absolute; whatever is not as declared stays as it is.

    Paths are the fields of type `Path`, those that are marked as `Place`, and the options of plug-ins and settings within.

    Args:
        given: Names and values of fields, not yet checked.
        fields: What is declared of them.
        folder: What relative paths are relative to.
    """
    return {
        name: _anchored(value, fields[name], folder) if name in fields else value
        for name, value in given.items()
    }


def _anchored(value: Any, field: FieldInfo, folder: Path) -> Any:
    types = list(_types(field.annotation))
    if isinstance(value, str):
        marks = [mark for mark in field.metadata if isinstance(mark, Place)]
        named = any(value in mark.names for mark in marks)
        return absolute(value, folder) if (marks or Path in types) and not named else value
    if isinstance(value, list | tuple) and Path in types:
        return [absolute(one, folder) if isinstance(one, str) else one for one in value]
    if not isinstance(value, Mapping):
        return value
    for kind in types:
        if issubclass(kind, PluginSpec):
            name = value.get("name")
            if isinstance(name, str) and name in kind.registry:
                return anchored(value, options_of(kind.registry.get(name)), folder)
        elif issubclass(kind, BaseModel):
            return anchored(value, kind.model_fields, folder)
    return value


def each(given: Any, change: Callable[[Mapping[str, Any]], Any]) -> Any:
    """One plug-in, or each plug-in in a list, as plain data, changed; those that are given by name stay as they are."""
    if isinstance(given, list | tuple):
        return [each(one, change) for one in given]
    return change(given) if isinstance(given, Mapping) and isinstance(given.get("name"), str) else given


def absolute(path: str, folder: Path) -> str:
    """A path, absolute; what begins with `~`, and an empty text, stay as they are."""
    if not path.strip() or path.startswith("~"):
        return path
    return str((folder / path).absolute())


def _types(annotation: Any) -> Iterable[type]:
    """The classes in a type: of `tuple[Path, ...] | None`, for example, tuple's members and not the tuple."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from _types(part)
