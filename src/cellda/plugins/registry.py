"""Registries of plug-ins: one decorator, names known without importing, near names in errors, entry points.

A plug-in is one file in the registry's package, named after the plug-in, holding one class under
`@registry.register("<file name>")`. Names and one-line summaries are read from the source text, so that listing
plug-ins never imports torch. Other distributions register theirs through an entry point in the group that is named like
the package (`cellda.adapters`, ...), the entry point's name being the plug-in's.
"""

import ast
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from cellda.errors import ConfigurationError, UnknownNameError, nearest

T = TypeVar("T")
C = TypeVar("C", bound=type)


class Registry(Generic[T]):
    """The plug-ins of one kind.

    Args:
        kind: What a member is called in messages, for example `"normalizer"`.
        package: Dotted name of the package whose files are the built-in members; also the entry-point group.
        absent: Names that users will look for in vain, each with a sentence that says what to do.
    """

    def __init__(self, kind: str, package: str, absent: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.package = package
        self._absent = absent or {}
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[C], C]:
        """Class decorator that registers a member under `name` and sets its `name` attribute.

        Raises:
            ConfigurationError: If another class already has this name.
        """

        def decorate(cls: C) -> C:
            known = self._classes.get(name)
            if known is not None and known.__qualname__ != cls.__qualname__:
                raise ConfigurationError(
                    f"The {self.kind} name '{name}' is already taken by {known.__module__}.{known.__qualname__}; "
                    f"register {cls.__module__}.{cls.__qualname__} under another name."
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
            registered = _registered_names(file)
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
        points: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.package):
            if point.name in self._files or point.name in points:
                owner = point.dist.name if point.dist else point.value
                raise ConfigurationError(
                    f"The installed package {owner} registers a {self.kind} '{point.name}', but that name is taken; "
                    "uninstall the package or ask its authors for another name."
                )
            points[point.name] = point
        return points

    def names(self) -> list[str]:
        """All member names, sorted; imports none of them."""
        return sorted({*self._files, *self._entry_points, *self._classes})

    def get(self, name: str) -> type[T]:
        """The class registered under `name`, imported on first use.

        Raises:
            UnknownNameError: If there is none; the message names the near ones.
        """
        if name not in self._classes:
            if name in self._files:
                importlib.import_module(f"{self.package}.{name}")
            elif name in self._entry_points:
                cls = self._load(self._entry_points[name])
                if name not in self._classes:
                    self.register(name)(cls)
            else:
                raise self.unknown(name)
        return self._classes[name]

    def unknown(self, name: str) -> UnknownNameError:
        """The error that no member has this name: what to do instead, or the near names."""
        if name.lower() in self._absent:
            return UnknownNameError(self._absent[name.lower()])
        return UnknownNameError(f"There is no {self.kind} '{name}'; {nearest(name, self.names())}")

    def _load(self, point: EntryPoint) -> type[T]:
        try:
            return point.load()  # type: ignore[no-any-return]
        except (ImportError, AttributeError) as error:
            owner = point.dist.name if point.dist else point.value
            raise ConfigurationError(
                f"The {self.kind} '{point.name}' of the installed package {owner} cannot be loaded: {error}. "
                "Reinstall or uninstall that package."
            ) from error

    def summary(self, name: str) -> str:
        """First line of the member's docstring, read from its source without importing it.

        Raises:
            UnknownNameError: If no member has this name.
        """
        if name in self._classes:
            return _first_line(self._classes[name].__doc__)
        if name in self._files:
            return _summary_in(self._files[name])
        if name in self._entry_points:
            # The source of another distribution is found through its package, which is imported for it.
            try:
                spec = importlib.util.find_spec(self._entry_points[name].module)
            except (ImportError, ValueError):
                spec = None
            found = spec is not None and spec.origin is not None
            return (
                _summary_in(Path(str(spec.origin))) if spec and found else "(installed, but cannot be loaded)"
            )
        raise self.unknown(name)

    def literals(self, name: str) -> dict[str, Any] | None:
        """The class attributes of a built-in member that its source gives as literals, read without importing it.

        None for members of other packages and for those that are registered already: they are read from their class.

        Raises:
            UnknownNameError: If no member has this name.
        """
        if name not in self:
            raise self.unknown(name)
        return None if name in self._classes or name not in self._files else _literals_in(self._files[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()


def _registered_names(file: Path) -> list[str]:
    """Names that classes of a file are registered under, read from its syntax tree."""
    text = file.read_text(encoding="utf-8")
    if "register(" not in text:
        return []
    calls = [
        decorator
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("register")
    ]
    return [str(call.args[0].value) for call in calls if call.args and isinstance(call.args[0], ast.Constant)]


def _summary_in(file: Path) -> str:
    """First docstring line of the registered class in a plug-in file, else of the file itself."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return _first_line(ast.get_docstring(_registered_class(tree) or tree))


def _literals_in(file: Path) -> dict[str, Any]:
    """Class attributes of the registered class in a plug-in file, as far as they are literals."""
    cls = _registered_class(ast.parse(file.read_text(encoding="utf-8")))
    literals = {}
    for node in cls.body if cls else ():
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            with suppress(ValueError):
                literals[node.targets[0].id] = ast.literal_eval(node.value)
    return literals


def _registered_class(tree: ast.Module) -> ast.ClassDef | None:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any("register" in ast.unparse(d) for d in node.decorator_list):
            return node
    return None


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().split("\n")[0]
