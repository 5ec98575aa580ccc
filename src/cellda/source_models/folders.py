"""The registry of trained source models: names and folders, without importing what reads them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from cellda.errors import ConfigurationError, UnknownNameError, nearest
from cellda.plugins import loading
from cellda.runtime.given import path_of
from cellda.text import shortened

CARD = "card.json"
"""The machine-readable card in the folder of a registered model."""


class SourceModels:
    """Folders of trained models by name.

    A built-in model is a subfolder of the package that holds a card. Other distributions register theirs through an entry
    point in the group with the name of the package: the name of the entry point is the model's, its value the dotted name of
    the package whose folder holds the files (`mine = "stainlab.models.mine"`).

    Args:
        package: Dotted name of the package whose subfolders are the built-in models; also the entry-point group.
    """

    kind = "source model"

    def __init__(self, package: str) -> None:
        self.package = package

    @cached_property
    def _folders(self) -> dict[str, Path | None]:
        """Name -> folder; None for a model whose package cannot be found."""
        home = loading.package_folder(self.package)
        built_in = [] if home is None else sorted(home.glob(f"*/{CARD}"))
        found: dict[str, Path | None] = {file.parent.name: file.parent for file in built_in}
        points = loading.points(self.package, self.kind, tuple(found))
        return found | {name: loading.package_folder(point.module) for name, point in points.items()}

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Context in which packages that were installed meanwhile count, and after which they are forgotten; for tests."""
        self.__dict__.pop("_folders", None)
        try:
            yield
        finally:
            self.__dict__.pop("_folders", None)

    def names(self) -> list[str]:
        """All names, sorted; no package of a model is imported."""
        return sorted(self._folders)

    def folder(self, name: str) -> Path:
        """The folder of a model.

        Raises:
            UnknownNameError: If no model has this name; the message suggests the nearest names.
            ConfigurationError: If the package that registers it does not hold it.
        """
        if name not in self._folders:
            raise self.unknown(name)
        place = self._folders[name]
        if place is None or not (place / CARD).is_file():
            raise ConfigurationError(
                f"The package that registers the source model '{name}' does not hold its {CARD} (in {place or 'no folder'}); "
                "reinstall or uninstall it."
            )
        return place

    def place(self, given: str) -> Path:
        """The folder of a model that is given by name or path.

        Args:
            given: A registered name, or the path of a saved classifier; a path that looks like a name is written `./name`.

        Raises:
            UnknownNameError: If it is neither.
            ConfigurationError: If it is both.
        """
        path = path_of(given)
        if given not in self:
            if path.is_dir():
                return path
            raise UnknownNameError(
                f"'{shortened(given, 200)}' is neither a {self.kind} nor a folder; {nearest(given, self.names())}"
            )
        if path.is_dir():
            from cellda.models.description import DESCRIPTION  # imports torch, which names alone must not

            # The folder of a run holds its classifier in `model`.
            if any((path / inner / DESCRIPTION).is_file() for inner in ("", "model")):
                raise ConfigurationError(
                    f"'{given}' is a registered {self.kind}, and here also a folder with a saved classifier: write ./{given} "
                    "for the folder, or rename it."
                )
        return self.folder(given)

    def unknown(self, name: str) -> UnknownNameError:
        """The error for an unknown name, with the nearest names."""
        return UnknownNameError(
            f"There is no {self.kind} '{shortened(name, 80)}'; {nearest(name, self.names())}"
        )

    def summary(self, name: str) -> str:
        """What a model is, in one line of its card.

        Raises:
            UnknownNameError: If no model has this name.
        """
        try:
            return str(json.loads((self.folder(name) / CARD).read_text(encoding="utf-8"))["summary"])
        except UnknownNameError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"(installed, but its card cannot be read: {error})"

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._folders
