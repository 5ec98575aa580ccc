"""Which source datasets a recipe trains on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_validator, model_validator

from cellda.datasets import registry, unknown
from cellda.datasets.card import card
from cellda.errors import ConfigurationError
from cellda.plugins.options import checked_options
from cellda.plugins.paths import anchored, options_of
from cellda.plugins.settings import Settings

if TYPE_CHECKING:
    from cellda.datasets.base import CellDataset


_created: set[tuple[type, str]] = set()
"""Synthetic datasets that were created with these options without complaint: studies ask thousands of times."""


class Source(Settings):
    """One source dataset.

    Attributes:
        name: A registered dataset, with its variant after a slash if it has variants (`"synthetic/0"`).
        degrade: Lower resolution and zoom at random in training, for sources sharper than the targets; by default what
            the dataset's card says: of the paper's ten, true for Barcelona alone.
        options: Options of the dataset's loader.
    """

    name: str
    degrade: bool
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        if isinstance(given, str):
            given = {"name": given}
        if isinstance(given, dict) and "degrade" not in given:
            base = str(given.get("name")).partition("/")[0]
            given = {**given, "degrade": base in registry and card(base).sharp}
        return given

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name.partition("/")[0] not in registry:
            raise unknown(name)
        return name

    @model_validator(mode="after")
    def _loadable(self) -> Self:
        """Options and variant suit the loader; a synthetic dataset is created to check them, which costs nothing."""
        variant = self.name.partition("/")[2]
        given = {**self.options, **({"variant": variant} if variant else {})}
        options = checked_options(self.loader, given, owner=f"dataset '{self.name}'")
        if self.loader.synthetic:
            asked = self.loader, json.dumps(options, sort_keys=True, default=repr)
            if asked not in _created:
                self.loader(**options)
                _created.add(asked)
        return self

    @property
    def loader(self) -> "type[CellDataset]":
        """The class that loads this dataset."""
        return registry.get(self.name.partition("/")[0])

    @field_validator("options")
    @classmethod
    def _no_place(cls, options: dict[str, Any]) -> dict[str, Any]:
        if "root" in options:
            raise ConfigurationError(
                "the location of a dataset is not part of a recipe; give it as data= or --data."
            )
        return options


def anchored_source(given: Mapping[str, Any], folder: Path) -> Any:
    """A source in a recipe file as plain data, with relative paths among its options taken from a folder."""
    base = given["name"].partition("/")[0]
    options = given.get("options")
    if base not in registry or not isinstance(options, Mapping):
        return given
    return {**given, "options": anchored(options, options_of(registry.get(base)), folder)}
