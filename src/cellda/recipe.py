"""The Recipe, frozen and typed; the default is the paper's workflow at full size."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

from pydantic import Field, ValidationError, field_serializer, field_validator

from cellda import adapters, datasets
from cellda.adapters.base import Adapter
from cellda.data.spec import MOST, FewShot, Protocol, Twins
from cellda.datasets.reading.text import read_text
from cellda.datasets.spec import Source
from cellda.errors import ConfigurationError, DataError
from cellda.framing.spec import FramingSpec
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec
from cellda.plugins import yaml_text
from cellda.plugins.options import describe
from cellda.plugins.paths import anchored, options_of
from cellda.plugins.settings import Settings
from cellda.presets import edits_of
from cellda.runtime.given import path_of
from cellda.runtime.store import digest
from cellda.selection.settings import Search
from cellda.training.settings import SourceTraining

if TYPE_CHECKING:
    from cellda.datasets.base import CellDataset
    from cellda.experiment.result import RunResult
    from cellda.models.classifier import CellClassifier
    from cellda.runtime.store import Store


Options = Mapping[str, Any]
"""Settings, or a plug-in with its options, as plain data."""


class RecipeFields(TypedDict, total=False):
    """The accepted types of each field of a recipe, for type checkers and completion; `Recipe` documents the fields."""

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
    twins: Twins | None
    protocol: Protocol
    seed: int
    device: Literal["auto", "cpu"]


PLUGINS = frozenset({"normalizer", "target_normalizer", "framing", "adapter"})
"""Fields that hold a plug-in: a mapping that has a name replaces the plug-in and all its options."""


class Recipe(Settings):
    """Everything that a run depends on, except the target and the location of the images.

    `Recipe()` is the paper's workflow at full size (224 px, EfficientNet-B0, two sources, search); each ablation is this
    recipe with one field changed. Plug-ins are given by name (`adapter="head_only"`) or with options
    (`adapter={"name": "full", "epochs": 20}`); adapters may be chained (`adapter=("adabn", "lp_ft")`, or
    `adapter="adabn+lp_ft"`).

    Attributes:
        sources: Datasets that the source model is trained on.
        normalizer: Stain normalizer of the source images.
        target_normalizer: Stain normalizer of the target images; None uses the sources'.
        framing: The part of every image, of sources and target, that the model sees.
        backbone: Encoder, weights and image size.
        training: How the source model is trained.
        few_shot: How the support set is drawn.
        adapter: How the model is adapted to the support set: one method, or several that run in order.
        pool: Where adapters that need unlabelled images get them: `"query"`, the same images that are predicted
            (transductive), or `"disjoint"`, half of their groups, while the other half is predicted (inductive).
        search: Hyper-parameter search inside the support set; None uses the adapter's own values.
        twins: What is done with an image that a dataset holds under several classes: `"refuse"` to run, `"keep"` all copies,
            or `"drop"` all copies. None refuses it in your own data and keeps it in published datasets, as everybody has
            it; what is kept or dropped is said and recorded.
        protocol: `"clean"` keeps the groups of a dataset apart; `"paper"` draws single images, as in the paper.
        seed: Seed of source training and adaptation.
        device: `"auto"` uses a GPU if there is one, `"cpu"` never does.

    Raises:
        ConfigurationError: If a field or a plug-in is unknown, mistyped or impossible; all problems are listed, with the
            nearest names.
    """

    sources: tuple[Source, ...] = Field(default=("barcelona", "munich_2019"), min_length=1)  # type: ignore[arg-type]
    normalizer: NormalizerSpec = "reinhard"  # type: ignore[assignment]
    target_normalizer: NormalizerSpec | None = None
    framing: FramingSpec = "none"  # type: ignore[assignment]
    backbone: Backbone = Field(default_factory=Backbone)
    training: SourceTraining = SourceTraining()
    few_shot: FewShot = FewShot()
    adapter: Adapter = "full"  # type: ignore[assignment]
    search: Search | None = Search()
    pool: Literal["query", "disjoint"] = "query"
    twins: Twins | None = None
    protocol: Protocol = "clean"
    seed: int = Field(default=0, ge=0, le=MOST)
    device: Literal["auto", "cpu"] = "auto"

    def __init__(self, **fields: Unpack[RecipeFields]) -> None:
        given: dict[str, Any] = {**fields}
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise ConfigurationError(describe(error, "the recipe", type(self).model_fields)) from None

    @field_validator("sources", mode="before")
    @classmethod
    def _one_source(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str | Mapping | Source) else given

    @field_validator("sources")
    @classmethod
    def _distinct(cls, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        names = [source.name for source in sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigurationError(f"Sources are listed twice: {', '.join(twice)}; list each once.")
        return sources

    @field_validator("adapter", mode="before")
    @classmethod
    def _build_adapter(cls, given: Any) -> Any:
        return adapters.build(given)

    @field_serializer("adapter")
    def _name_adapter(self, adapter: Adapter) -> Any:
        return adapters.described(adapter)

    @property
    def used_target_normalizer(self) -> NormalizerSpec:
        """The target's normalizer, or the sources' if none is given."""
        return self.target_normalizer or self.normalizer

    @property
    def digest(self) -> str:
        """Sixteen hex digits that name this recipe: equal recipes have equal digests, on any machine."""
        return digest(self.model_dump(mode="json"))

    def with_(self, **fields: Unpack[RecipeFields]) -> Self:
        """This recipe with some fields changed; nested fields may be given as mappings of the changes.

        A plug-in that is given by name gets its own defaults.

        >>> Recipe().with_(few_shot={"draw": 3}, seed=1).few_shot.draw
        3
        """
        merged = self.model_dump(mode="json")
        for name, value in fields.items():
            current = merged.get(name)
            another = name in PLUGINS and isinstance(value, Mapping) and "name" in value
            if isinstance(current, dict) and isinstance(value, Mapping) and not another:
                merged[name] = {**current, **(self.adapter.implied(value) if name == "adapter" else value)}
            else:
                merged[name] = value
        return type(self)(**merged)

    @classmethod
    def preset(cls, *names: str) -> Self:
        """The paper's recipe with named presets applied in order (see `cellda.presets`).

        >>> Recipe.preset("laptop", "head_only").adapter.name
        'head_only'
        """
        return cls().with_preset(*names)

    def with_preset(self, *names: str) -> Self:
        """This recipe with named presets applied in order; a preset that names the current adapter keeps its options.

        Raises:
            UnknownNameError: If there is no such preset; the message suggests the nearest names.
        """
        recipe = self
        for name in names:
            edits = edits_of(name)
            same = "adapter" in edits and adapters.build(edits["adapter"]).name == recipe.adapter.name
            recipe = recipe.with_(
                **{field: to for field, to in edits.items() if not (same and field == "adapter")}
            )
        return recipe

    def to_yaml(self) -> str:
        """Every field with its value, defaults included; paths are absolute, because a file may be moved or sent."""
        fields = _anchored(self.model_dump(mode="json"), Path.cwd())
        return yaml_text.dump(fields)

    @classmethod
    def from_yaml(cls, text: str | Path) -> Self:
        """Read a recipe from YAML text, or from a file given as a `Path`; fields that are missing take their defaults.

        Relative paths (of weights, or in options of plug-ins) are relative to the file; in a text, to the working directory.

        Raises:
            ConfigurationError: If it is not a YAML mapping, or a field is unknown, mistyped or impossible.
        """
        fields = fields_in(text)
        try:
            if isinstance(text, Path):
                fields = _anchored(fields, path_of(text).absolute().parent)
            return cls(**fields)
        except ConfigurationError as error:
            raise ConfigurationError(f"{text}: {error}" if isinstance(text, Path) else str(error)) from error

    def run(
        self,
        target: "str | CellDataset",
        data: str | Path | None = None,
        *,
        store: "Store | str | Path | None" = None,
        keep_model: bool = True,
        progress: bool = True,
    ) -> "RunResult":
        """Run this recipe on a target; see `cellda.run`."""
        from cellda.experiment.workflow import run

        return run(self, target, data, store=store, keep_model=keep_model, progress=progress)

    def adapt(
        self,
        labelled: "str | CellDataset | None" = None,
        unlabelled: "str | Path | Sequence[str | Path]" = (),
        data: str | Path | None = None,
        *,
        store: "Store | str | Path | None" = None,
        progress: bool = True,
    ) -> "CellClassifier":
        """Adapt to all cells of a laboratory; see `cellda.adapt`."""
        from cellda.experiment.workflow import adapt

        return adapt(self, labelled, unlabelled, data, store=store, progress=progress)


def _anchored(fields: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Fields of a recipe as plain data, with their relative paths taken from a folder."""
    placed = anchored(fields, Recipe.model_fields, folder)
    if "sources" in placed:
        placed["sources"] = _each(placed["sources"], lambda source: _source(source, folder))
    if "adapter" in placed:
        placed["adapter"] = _each(placed["adapter"], lambda step: _step(step, folder))
    return placed


def _each(given: Any, change: Callable[[Mapping[str, Any]], Any]) -> Any:
    """One mapping, or each mapping in a list, changed; names stay as they are."""
    if isinstance(given, list | tuple):
        return [_each(one, change) for one in given]
    return change(given) if isinstance(given, Mapping) and isinstance(given.get("name"), str) else given


def _source(given: Mapping[str, Any], folder: Path) -> Any:
    base = given["name"].partition("/")[0]
    options = given.get("options")
    if base not in datasets.registry or not isinstance(options, Mapping):
        return given
    return {**given, "options": anchored(options, options_of(datasets.registry.get(base)), folder)}


def _step(given: Mapping[str, Any], folder: Path) -> Any:
    known = given["name"] in adapters.registry
    return anchored(given, options_of(adapters.get(given["name"])), folder) if known else given


def fields_in(text: str | Path) -> dict[str, Any]:
    """The fields of a recipe in YAML text, or in a file given as a `Path`; their values are not checked.

    Raises:
        ConfigurationError: If it cannot be read, or is not a YAML mapping.
    """
    where = f"recipe file {text}" if isinstance(text, Path) else "recipe"
    try:
        content = yaml_text.load(read_text(path_of(text))[0] if isinstance(text, Path) else text, where)
    except DataError as error:
        raise ConfigurationError(f"The recipe cannot be opened. {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"The {where} does not hold a mapping of recipe fields to values, such as Recipe().to_yaml() writes"
            + ("." if isinstance(text, Path) else "; a file is read with Recipe.from_yaml(Path(...)).")
        )
    return {str(name): value for name, value in content.items()}
