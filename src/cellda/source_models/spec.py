"""Which trained source model a recipe starts from."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, Field, model_validator

from cellda.errors import ConfigurationError, quoted
from cellda.plugins.paths import absolute
from cellda.plugins.settings import Settings
from cellda.source_models import registry
from cellda.source_models.cards import Card
from cellda.source_models.folders import CARD

if TYPE_CHECKING:
    from cellda.models.description import Description

HEAD = "mlp"
"""The head of a source model; adapters replace it or continue its training."""


class SourceModel(Settings):
    """A trained source model, and what it holds.

    Attributes:
        name: A registered model, or the path of the folder of a saved classifier.
        digest: Hash of its weights and description. It is filled in; if it is stated, the model must still be that one.
    """

    name: str = Field(min_length=1, max_length=4096)
    digest: str = Field(pattern="^[0-9a-f]{16}$")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        if not isinstance(given, str | Path | dict | cls):
            raise ConfigurationError(
                f"give the name of a model or the path of its folder (got {quoted(given)})"
            )
        if isinstance(given, str | Path):
            given = {"name": str(given)}
        if isinstance(given, dict) and isinstance(given.get("name"), str) and given.get("digest") is None:
            given = {**given, "digest": _digest(given["name"])}
        return given

    @model_validator(mode="after")
    def _usable(self) -> Self:
        """The model is the stated one, and one that adapters can start from."""
        self.check_unchanged()
        described = self.description
        viewed = described.second_view is not None
        if described.own_head["name"] != HEAD or described.symmetric or viewed:
            more = ", it has a second view" * viewed + ", and it averages over flips" * described.symmetric
            raise ConfigurationError(
                f"the model '{self.name}' was adapted already (its head is '{described.own_head['name']}'{more}); start from "
                "the source model that it was made from."
            )
        return self

    def check_unchanged(self) -> None:
        """Refuse a model that is not the one that was named.

        Raises:
            ConfigurationError: If its description or weights are others.
        """
        found = _digest(self.name)
        if found != self.digest:
            raise ConfigurationError(
                f"the source model '{self.name}' is not the stated one: its digest is {found}, not {self.digest}. Use the "
                "version of the model that the recipe was made with, or leave out the digest to use this one."
            )

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return registry.place(self.name)

    @property
    def description(self) -> "Description":
        """Backbone, normalizer, framing, classes and head."""
        from cellda.models.saved import described  # imports torch, which importing a recipe must not

        return described(self.folder)[1]

    @property
    def card(self) -> Card | None:
        """Its card; None for a saved classifier without one.

        Raises:
            DataError: If the card cannot be read, or belongs to other weights.
        """
        if not (self.folder / CARD).is_file():
            return None
        card, weights = Card.read(self.folder), self.description.weights
        if weights is None or weights.sha256 != card.weights:
            raise ConfigurationError(
                f"The card in {self.folder} belongs to other weights than those next to it; copy the whole folder again."
            )
        return card

    @property
    def title(self) -> str:
        """Its name and digest, as conditions and tables show it."""
        name = self.name if self.name in registry else self.folder.resolve().name
        return f"{name}:{self.digest}"

    def contradictions(self, fields: Mapping[str, BaseModel]) -> list[str]:
        """What a recipe says otherwise than the model, field by field.

        Args:
            fields: Values of `backbone`, `normalizer` and `framing`.
        """
        described, wrong = self.description, []
        for field, value in fields.items():
            stated, own = value.model_dump(mode="json"), getattr(described, field).model_dump(mode="json")
            differing = [name for name in dict.fromkeys((*own, *stated)) if stated.get(name) != own.get(name)]
            wrong += [
                f"{field}.{name} is {quoted(stated.get(name))}, but the source model '{self.name}' has {quoted(own.get(name))}"
                for name in (["name"] if "name" in differing else differing)
            ]
        return wrong

    def ruled_out(self, present: tuple[str, ...] | None) -> list[str]:
        """What a recipe says otherwise than the model of the classes that can occur, which it may only narrow."""
        left = self.description.present
        if left is None:
            return []
        wider = [name for name in present or self.description.classes if name not in left]
        return [
            f"present holds {', '.join(wider)}, but the source model '{self.name}' was made for images that show only "
            f"{', '.join(left)}, and can be narrowed, not widened"
        ] * bool(wider)


def anchored(given: Any, folder: Path) -> Any:
    """A source model in a recipe file as plain data, with a relative path taken from a folder."""
    if isinstance(given, Mapping):
        return {**given, "name": anchored(given.get("name"), folder)}
    return absolute(given, folder) if isinstance(given, str) and given not in registry else given


def _digest(name: str) -> str:
    from cellda.models.saved import folder_digest  # imports torch, which importing a recipe must not

    return folder_digest(registry.place(name))
