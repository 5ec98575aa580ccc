"""The accepted types of a recipe's fields."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from pydantic import BeforeValidator

from cellda.adapters.base import Adapter
from cellda.data.spec import FewShot, Protocol, Twins
from cellda.datasets.spec import Source
from cellda.errors import ConfigurationError
from cellda.evaluation.calibration_kinds import Kind
from cellda.framing.spec import FramingSpec
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec
from cellda.selection.settings import Search
from cellda.source_models.spec import SourceModel
from cellda.taxonomies.base import sums
from cellda.taxonomies.spec import TaxonomySpec
from cellda.training.settings import SourceTraining

Options = Mapping[str, Any]
"""Settings, or a plug-in with its options, as plain data."""


def _split(given: Any) -> Any:
    """The names in a text, which commas separate."""
    return [name.strip() for name in given.split(",")] if isinstance(given, str) else given


PresentClasses = Annotated[tuple[str, ...] | None, BeforeValidator(_split)]
"""Names of the classes that can occur; None for all of them."""


class RecipeFields(TypedDict, total=False):
    """The accepted types of each field of a recipe, for type checkers and completion; `Recipe` documents the fields."""

    taxonomy: str | Options | TaxonomySpec
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
    calibration: Kind
    pool: Literal["query", "disjoint"]
    present: str | Sequence[str] | None
    twins: Twins | None
    protocol: Protocol
    seed: int
    device: Literal["auto", "cpu"]


PLUGINS = frozenset({"taxonomy", "normalizer", "target_normalizer", "framing", "adapter"})
"""Fields that hold a plug-in: a mapping that has a name replaces the plug-in and all its options."""


PAPER = ("barcelona", "munich_2019")
"""The paper's sources."""


def decided(field: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    """The default of a field that a source model decides: what the model has, or without one this value."""

    def default(given: dict[str, Any]) -> Any:
        model: SourceModel | None = given.get("source_model")
        return value if model is None else getattr(model.description, field)

    return default


def paper_sources(given: dict[str, Any]) -> Any:
    """The paper's, or none with a trained source model."""
    return () if given.get("source_model") else PAPER


def check_finer(fine: TaxonomySpec | None, taxonomy: TaxonomySpec) -> None:
    """Refuse classes of a source model (`training.taxonomy`) that are not kinds of the recipe's.

    Raises:
        ConfigurationError: If so.
    """
    coarse = taxonomy.build()
    if fine is None or (coarse.open and not fine.build().open):
        return
    if fine.build().open or sums(coarse, fine.build().classes) is None:
        raise ConfigurationError(
            f"training.taxonomy ('{fine.name}') must tell finer classes apart than taxonomy ('{taxonomy.name}'), each of "
            "whose classes has kinds among them."
        )
