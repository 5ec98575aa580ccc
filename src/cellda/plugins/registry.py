"""Registries of plug-ins: one decorator, names without imports, nearest names in errors, entry points.

A plug-in is one file in the registry's package, named after the plug-in, with one class that is decorated by
`@registry.register("<file name>")`. Names and one-line summaries are read from the source text, so that listing
plug-ins never imports torch. Other distributions register plug-ins through an entry point in the group with the name of the
package (`cellda.adapters`, ...); the name of the entry point is the name of the plug-in.
"""

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Generic, TypeVar

from cellda.errors import ConfigurationError, UnknownNameError, nearest
from cellda.plugins import loading, source
from cellda.text import shortened

T = TypeVar("T")
C = TypeVar("C", bound=type)


class Registry(Generic[T]):
    """The plug-ins of one kind.

    Args:
        kind: Name of a member in messages, for example `"normalizer"`.
        package: Dotted name of the package whose files are the built-in members; also the entry-point group.
        base: The class that members derive from, `"module:Class"`; it is imported with the first member.
        absent: Names that users may look for but that do not exist, each with a sentence that says what to do.
    """

    def __init__(self, kind: str, package: str, base: str, absent: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.package = package
        self.base = base
        self._absent = absent or {}
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[C], C]:
        """Class decorator that registers a member under `name` and sets its `name` attribute.

        Raises:
            ConfigurationError: If another class already has this name.
        """

        def decorate(cls: C) -> C:
            known = self._classes.get(name)
            # A class that is defined again, in a notebook or a module that is reloaded, replaces itself.
            again = known is not None and loading.qualified(known) == loading.qualified(cls)
            builtin = f"{self.package}.{name}"
            if (known is not None and not again) or (name in self._files and cls.__module__ != builtin):
                taken = builtin if known is None else loading.qualified(known)
                raise ConfigurationError(
                    f"The {self.kind} name '{name}' is already taken by {taken}; "
                    f"register {loading.qualified(cls)} under another name."
                )
            cls.name = name  # type: ignore[attr-defined]
            self._classes[name] = cls
            return cls

        return decorate

    @cached_property
    def _files(self) -> dict[str, Path]:
        """Built-in members: file name -> file, recognised by their own `register("<file name>")`."""
        spec = importlib.util.find_spec(self.package)
        folder = Path(spec.origin).parent if spec is not None and spec.origin else Path()
        files = {}
        for file in sorted(folder.glob("*.py")):
            registered = source.registered_names(file)
            if registered and registered != [file.stem]:
                raise ConfigurationError(
                    f"{file} registers {', '.join(map(repr, registered))}; a file of {self.package} registers one class, "
                    f'under the file\'s own name: @register("{file.stem}").'
                )
            if registered:
                files[file.stem] = file
        return files

    @cached_property
    def _entry_points(self) -> dict[str, EntryPoint]:
        return loading.points(self.package, self.kind, self._files)

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Context after which members registered and packages installed within it are forgotten; for tests of plug-ins."""
        before = set(self._classes)
        self.__dict__.pop("_entry_points", None)
        try:
            yield
        finally:
            for name in self._classes.keys() - before - self._files.keys():
                del self._classes[name]
            self.__dict__.pop("_entry_points", None)

    def names(self) -> list[str]:
        """All member names, sorted; no member is imported."""
        return sorted({*self._files, *self._entry_points, *self._classes})

    def installed(self, name: str) -> bool:
        """Whether every process finds the member `name`: it is built in, or an entry point of an installed package."""
        return name in self._files or name in self._entry_points

    def create(self, name: str, **options: Any) -> T:
        """Build the member `name` with its options.

        Raises:
            UnknownNameError: If no member has this name.
            ConfigurationError: If an option is unknown, mistyped or impossible, or the registered class is not a complete
                member.
        """
        from cellda.plugins.options import built  # imports pydantic, which listing plug-ins must not

        return built(self.get(name), options, owner=f"{self.kind} '{name}'")

    def get(self, name: str) -> type[T]:
        """The class registered under `name`, imported on first use.

        Raises:
            UnknownNameError: If there is none; the message suggests the nearest names.
            ConfigurationError: If it cannot be imported, or is not a complete member.
        """
        owner = f"{self.kind} '{name}'"
        if name not in self._classes:
            if name in self._files:
                loading.import_member(f"{self.package}.{name}", owner)
            elif name in self._entry_points:
                self._load(self._entry_points[name], owner)
            else:
                raise self.unknown(name)
        cls = self._classes[name]
        module, _, base = self.base.partition(":")
        loading.check_member(cls, getattr(importlib.import_module(module), base), owner)
        return cls

    def unknown(self, name: str) -> UnknownNameError:
        """The error for an unknown name, with what to do instead or the nearest names."""
        if name.lower() in self._absent:
            return UnknownNameError(self._absent[name.lower()])
        return UnknownNameError(
            f"There is no {self.kind} '{shortened(name, 80)}'; {nearest(name, self.names())}"
        )

    def _load(self, point: EntryPoint, owner: str) -> None:
        """Import another package's member, which registers it.

        Raises:
            ConfigurationError: If it cannot be imported, or is registered under another name.
        """
        cls = loading.load(point, owner)
        names = [name for name, known in self._classes.items() if known is cls]
        if names and point.name not in names:
            file = loading.spec_file(cls.__module__) or cls.__module__
            raise ConfigurationError(
                f"The entry point '{point.name}' of the installed package {loading.distribution(point)} names the class "
                f"{loading.qualified(cls)}, which {file} registers as '{names[0]}'; give the entry point in the group "
                f"{self.package} and the decorator the same name."
            )
        self.register(point.name)(cls)

    def summary(self, name: str) -> str:
        """First line of the member's own docstring, read from its source without importing it.

        Raises:
            UnknownNameError: If no member has this name.
        """
        if name in self._classes:
            return source.first_line(self._classes[name].__doc__)
        if name in self._files:
            return source.summary(self._files[name], name)
        if name not in self._entry_points:
            raise self.unknown(name)
        # Finding the source of another distribution imports its package.
        point = self._entry_points[name]
        file = loading.spec_file(point.module)
        try:
            line = None if file is None else source.class_summary(file, point.attr)
        except ConfigurationError as error:
            return f"(installed, but cannot be loaded: {error})"
        if file is None:
            return f"(installed with {loading.distribution(point)}, but {point.module} cannot be loaded)"
        return f"(not defined in {point.module})" if line is None else line

    def literals(self, name: str) -> dict[str, Any] | None:
        """The class attributes of a built-in member that are literals in its source, read without importing it.

        None for members of other packages and for members that are already imported: read the attributes of their class.

        Raises:
            UnknownNameError: If no member has this name.
        """
        if name not in self:
            raise self.unknown(name)
        if name in self._classes or name not in self._files:
            return None
        return source.literals(self._files[name], name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()
