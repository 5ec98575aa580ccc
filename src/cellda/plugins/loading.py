"""Importing a plug-in: what goes wrong is said in a sentence that names the package, the file and the remedy."""

import importlib
import importlib.util
import inspect
import re
import traceback
from enum import Enum
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, get_args

from cellda.errors import CelldaError, ConfigurationError


def distribution(point: EntryPoint) -> str:
    """The installed package that an entry point is of."""
    return point.dist.name if point.dist else point.value


def load(point: EntryPoint, owner: str) -> type[Any]:
    """The class of an entry point.

    Args:
        point: An entry point of an installed package.
        owner: How messages call the plug-in, for example `"adapter 'full'"`.

    Raises:
        ConfigurationError: If its module cannot be imported, whatever it raises, or has no such class.
    """
    try:
        found = point.load()
    except CelldaError:
        raise
    except Exception as error:  # another author's module may raise anything
        raise ConfigurationError(
            f"The {owner} of the installed package {distribution(point)} cannot be loaded: {_reason(error)} "
            f"({_place(error, point.module)}). Correct that file, reinstall the package, or uninstall it."
        ) from error
    if not isinstance(found, type):
        raise ConfigurationError(
            f"The entry point of the {owner} in the installed package {distribution(point)}, {point.value}, does not name a "
            "class; correct it there."
        )
    return found


def import_member(module: str, owner: str) -> None:
    """Import the file of a member of cellda's own folder.

    Raises:
        ConfigurationError: If it cannot be imported, whatever it raises.
    """
    try:
        importlib.import_module(module)
    except CelldaError:
        raise
    except Exception as error:  # a file that somebody is writing may raise anything
        raise ConfigurationError(
            f"The {owner} cannot be loaded: {_reason(error)} ({_place(error, module)}). Correct that file."
        ) from error


def spec_file(module: str) -> Path | None:
    """The source file of a module, for which the packages around it are imported; None if there is none."""
    try:
        spec = importlib.util.find_spec(module)
    except Exception:  # raised by a package around it, which says so when it is loaded
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def check_member(cls: type, base: type, owner: str) -> None:
    """Refuse a class that is not a complete member of its kind.

    Raises:
        ConfigurationError: If it does not derive from `base`, or lacks a method or class variable that `base` asks for.
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
    except (OSError, TypeError):  # a notebook's
        return qualified(cls)


def _public(base: type) -> str:
    """The name under which authors of plug-ins import a base."""
    return f"cellda.plugin.{base.__name__}" if base.__module__.startswith("cellda.") else qualified(base)


def _members(annotation: Any) -> list[Enum]:
    """The members of the enumeration that a type speaks of; none if it speaks of none."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return list(annotation)
    return [member for part in get_args(annotation) for member in _members(part)]


def _reason(error: Exception) -> str:
    """What went wrong; a field without a type in words of its own, for pydantic's speak of its configuration."""
    if getattr(error, "code", None) == "model-field-missing-annotation":
        field = re.search(r"[`'](\w+)", str(error))
        name = field[1] if field else "?"
        return f"its field '{name}' has no type; write `{name}: float = ...`, or whichever type it has"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return f"{type(error).__name__}: {str(error).rstrip('.')}"


def _place(error: Exception, module: str) -> str:
    """The line of the plug-in's own package that raised an error, else the module that was asked for."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    root = spec_file(module.partition(".")[0])
    if root is not None and root.name == "__init__.py":
        root = root.parent
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if root is not None and Path(frame.filename).is_relative_to(root)]
    own = [frame for frame in own if frame.filename != __file__]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else f"module {module}"
