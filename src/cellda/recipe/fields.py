"""The accepted types of a recipe's fields."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from pydantic import AfterValidator, BeforeValidator

from cellda.adapters.base import Adapter
from cellda.data.spec import FewShot, Protocol, Twins
from cellda.datasets.spec import Source
from cellda.framing.spec import FramingSpec
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec
from cellda.selection.settings import Search
from cellda.source_models.spec import SourceModel
from cellda.taxonomy import statement
from cellda.training.settings import SourceTraining

Options = Mapping[str, Any]
"""Settings, or a plug-in with its options, as plain data."""


def _split(given: Any) -> Any:
    """The names in a text, which commas separate."""
    return [name.strip() for name in given.split(",")] if isinstance(given, str) else given


def _ordered(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if names is None else statement(names)


PresentClasses = Annotated[tuple[str, ...] | None, BeforeValidator(_split), AfterValidator(_ordered)]
"""Names of the classes that can occur, in class order; None for all of them."""


class RecipeFields(TypedDict, total=False):
    """The accepted types of each field of a recipe, for type checkers and completion; `Recipe` documents the fields."""

    source_model: str | Path | Options | SourceModel | None
    sources: str | Options | Source | Sequence[str | Options | Source]
    normalizer: str | Options | NormalizerSpec
    target_normalizer: str | Options | NormalizerSpec | None
    framing: str | Options | FramingSpec
    backbone: Options | Backbone
    training: Options | SourceTraining
    few_shot: Options | FewShot
    adapter: str | Options | Adapter | Sequence[str | Options | Adapter]
    search: Options | Search | None
    pool: Literal["query", "disjoint"]
    present: str | Sequence[str] | None
    twins: Twins | None
    protocol: Protocol
    seed: int
    device: Literal["auto", "cpu"]
