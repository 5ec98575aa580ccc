"""Imports plug-ins; error messages name the package, the file and the remedy."""

import importlib
import importlib.util
import inspect
import re
import traceback
from collections.abc import Iterable
from enum import Enum
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, get_args

from cellda.errors import CelldaError, ConfigurationError


def distribution(point: EntryPoint) -> str:
    """The installed package that an entry point belongs to."""
    return point.dist.name if point.dist else point.value


def points(group: str, kind: str, taken: Iterable[str]) -> dict[str, EntryPoint]:
    """The entry points of a group by name.

    Args:
        group: Name of the group.
        kind: Name of a member in messages, for example `"adapter"`.
        taken: Names of the built-in members.

    Raises:
        ConfigurationError: If a name is taken.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        if point.name in taken or point.name in found:
            raise ConfigurationError(
                f"The installed package {distribution(point)} registers '{point.name}' as {kind}, but that "
                "name is taken; uninstall the package or ask its authors for another name."
            )
        found[point.name] = point
    return found


def load(point: EntryPoint, owner: str) -> type[Any]:
    """Load the class of an entry point.

    Args:
        point: An entry point of an installed package.
        owner: Name of the plug-in in messages, for example `"adapter 'full'"`.

    Raises:
        ConfigurationError: If its module raises any error on import, or has no such class.
    """
    try:
        found = point.load()
    except CelldaError:
        raise
    except Exception as error:  # another author's module may raise anything
        raise ConfigurationError(
            f"The {owner} of the installed package {distribution(point)} cannot be loaded: {_reason(error)} "
            f"({_place(error, point.module)}). Fix that file, or reinstall or uninstall the package."
        ) from error
    if not isinstance(found, type):
        raise ConfigurationError(
            f"The entry point of the {owner} in the installed package {distribution(point)}, {point.value}, does not name a "
            "class; fix the entry point in that package."
        )
    return found


def import_member(module: str, owner: str) -> None:
    """Import the file of a built-in member.

    Raises:
        ConfigurationError: If it raises any error on import.
    """
    try:
        importlib.import_module(module)
    except CelldaError:
        raise
    except Exception as error:  # a file under development may raise anything
        raise ConfigurationError(
            f"The {owner} cannot be loaded: {_reason(error)} ({_place(error, module)}). Fix that file."
        ) from error


def spec_file(module: str) -> Path | None:
    """The source file of a module, or None if there is none; this imports the parent packages of the module."""
    try:
        spec = importlib.util.find_spec(module)
    except Exception:  # raised by a parent package; reported when it is loaded
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def package_folder(package: str) -> Path | None:
    """The folder of a package, or None if there is none; this imports the parent packages of it."""
    try:
        spec = importlib.util.find_spec(package)
    except Exception:  # raised by a parent package
        return None
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) if places else None


def check_member(cls: type, base: type, owner: str) -> None:
    """Refuse a class that is not a complete member of its kind.

    Raises:
        ConfigurationError: If it does not derive from `base`, or lacks a method or class variable that `base` requires.
    """
    subject = f"The class {located(cls)} of the {owner}"
    if not issubclass(cls, base):
        raise ConfigurationError(f"{subject} does not derive from {_public(base)}.")
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        raise ConfigurationError(
            f"{subject} does not define {' and '.join(missing)}; {_public(base)} requires it."
        )
    for name, annotation in inspect.get_annotations(base).items():
        if name != "name" and "ClassVar" in str(annotation) and not hasattr(cls, name):
            choices = [
                f"\n  - {type(member).__name__}.{member.name}: {member.value}"
                for member in _members(annotation)
            ]
            raise ConfigurationError(
                f"{subject} does not state its {name}; state a set of these in the class, or `{name} = frozenset()` for none:"
                + "".join(choices)
                if choices
                else f"{subject} does not state its {name}."
            )


def qualified(cls: type) -> str:
    """Module and name of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def located(cls: type) -> str:
    """Module, name and file of a class."""
    try:
        return f"{qualified(cls)} ({inspect.getfile(cls)})"
    except (OSError, TypeError):  # a class in a notebook
        return qualified(cls)


def _public(base: type) -> str:
    """The name by which authors of plug-ins import a base class."""
    return f"cellda.plugin.{base.__name__}" if base.__module__.startswith("cellda.") else qualified(base)


def _members(annotation: Any) -> list[Enum]:
    """The members of the enumeration that a type mentions; an empty list if there is none."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return list(annotation)
    return [member for part in get_args(annotation) for member in _members(part)]


def _reason(error: Exception) -> str:
    """What went wrong; pydantic's message about a field without a type is replaced, because it is about configuration."""
    if getattr(error, "code", None) == "model-field-missing-annotation":
        field = re.search(r"[`'](\w+)", str(error))
        name = field[1] if field else "?"
        return f"its field '{name}' has no type; write `{name}: float = ...`, or whichever type it has"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return f"{type(error).__name__}: {str(error).rstrip('.')}"


def _place(error: Exception, module: str) -> str:
    """The line in the plug-in's own package that raised an error, or else the name of the module."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    root = spec_file(module.partition(".")[0])
    if root is not None and root.name == "__init__.py":
        root = root.parent
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if root is not None and Path(frame.filename).is_relative_to(root)]
    own = [frame for frame in own if frame.filename != __file__]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else f"module {module}"
