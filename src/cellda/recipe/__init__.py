"""The Recipe, frozen and typed; the default is the paper's workflow at full size."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from cellda import adapters
from cellda.adapters.base import Adapter
from cellda.data.spec import MOST, FewShot, Protocol, Twins
from cellda.datasets.spec import Source
from cellda.errors import ConfigurationError
from cellda.evaluation.calibration_kinds import Kind
from cellda.framing.spec import FramingSpec
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec
from cellda.plugins import yaml_text
from cellda.plugins.options import describe
from cellda.plugins.settings import Settings
from cellda.presets import adaptation_of, edits_of
from cellda.recipe.fields import PLUGINS, PresentClasses, RecipeFields, check_finer, decided, paper_sources
from cellda.recipe.files import fields_in, placed
from cellda.recipe.notebook import recipe_html
from cellda.runtime.given import path_of
from cellda.runtime.storage.store import digest
from cellda.selection.settings import Search
from cellda.source_models.spec import SourceModel
from cellda.taxonomies.spec import PAPER as PAPER_CLASSES
from cellda.taxonomies.spec import TaxonomySpec
from cellda.training.settings import SourceTraining

if TYPE_CHECKING:
    from cellda.datasets.base import CellDataset
    from cellda.experiment.result import RunResult
    from cellda.models.classifier import CellClassifier
    from cellda.runtime.storage.store import Store
    from cellda.tracking.base import Logger


class Recipe(Settings):
    """Everything that a run depends on, except the target and the location of the images.

    `Recipe()` is the paper's workflow at full size (224 px, EfficientNet-B0, two sources, search); each ablation is this
    recipe with one field changed. Plug-ins are given by name (`adapter="head_only"`) or with options
    (`adapter={"name": "full", "epochs": 20}`); adapters may be chained (`adapter=("adabn", "lp_ft")`, or
    `adapter="adabn+lp_ft"`).

    Attributes:
        taxonomy: The classes that cells of the target are told apart as, by name (`cellda list taxonomies`) or with options;
            `"own"` takes the target's labels as they are. Labels of sources fold into the same classes, unless
            `training.taxonomy` says otherwise.
        source_model: A trained source model, by name (`cellda list models`) or path; None trains one on `sources`. It decides
            `backbone`, `normalizer` and `framing`, which need not be given and cannot differ; `training` is not used.
        sources: Datasets that the source model is trained on; empty with a trained one.
        normalizer: Stain normalizer of the source images.
        target_normalizer: Stain normalizer of the target images; None uses the sources'.
        framing: The part of every image, of sources and target, that the model sees.
        backbone: Encoder, weights and image size.
        training: How the source model is trained.
        few_shot: How the support set is drawn.
        adapter: How the model is adapted to the support set: one method, or several that run in order.
        pool: Where adapters that need unlabelled images get them: `"query"`, the same images that are predicted
            (transductive), or `"disjoint"`, half of their groups, while the other half is predicted (inductive).
        present: The classes that can occur in the target, at least two, where that is known ("these slides show neutrophils
            and lymphocytes"); None for all. The others have probability 0 in every prediction, and play no part in the
            adaptation. Source training does not depend on it. It counts as knowledge of the target, and is recorded.
        search: Hyper-parameter search inside the support set; None uses the adapter's own values.
        calibration: How probabilities are calibrated, on labelled cells held out in turn, or on the unlabelled pool.
        twins: What is done with an image that a dataset holds under several classes: `"refuse"` to run, `"keep"` or `"drop"`
            all copies. None refuses it in your own data and keeps it in published datasets; what is done is said and recorded.
        protocol: `"clean"` keeps the groups of a dataset apart; `"paper"` draws single images, as in the paper.
        seed: Seed of source training and adaptation.
        device: `"auto"` uses a GPU if there is one, `"cpu"` never does.

    Raises:
        ConfigurationError: If a field or a plug-in is unknown, mistyped or impossible; all problems are listed, with the
            nearest names.
    """

    taxonomy: TaxonomySpec = PAPER_CLASSES
    source_model: SourceModel | None = None
    sources: tuple[Source, ...] = Field(default_factory=paper_sources)
    normalizer: NormalizerSpec = Field(default_factory=decided("normalizer", "reinhard"))
    target_normalizer: NormalizerSpec | None = None
    framing: FramingSpec = Field(default_factory=decided("framing", "none"))
    backbone: Backbone = Field(default_factory=decided("backbone", {}))
    training: SourceTraining = SourceTraining()
    few_shot: FewShot = FewShot()
    adapter: Adapter = "full"  # type: ignore[assignment]
    search: Search | None = Search()
    calibration: Kind = "none"
    pool: Literal["query", "disjoint"] = "query"
    present: PresentClasses = Field(default_factory=decided("present", None))
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

    @field_validator("present")
    @classmethod
    def _classes(cls, present: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        """The classes that can occur in class order; None if these are all. Own classes are only known with the labels."""
        taxonomy = info.data.get("taxonomy")
        if present is None or taxonomy is None:
            return present
        classes = taxonomy.build()
        return present if classes.open else classes.statement(present)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        """There are sources or a trained source model, and nothing contradicts that model."""
        check_finer(self.training.taxonomy, self.taxonomy)
        if self.source_model is None:
            if not self.sources:
                raise ConfigurationError("sources is empty: name a dataset, or a trained source_model.")
            return self
        if self.sources:
            named = ", ".join(source.name for source in self.sources)
            raise ConfigurationError(
                f"sources ({named}) and source_model ('{self.source_model.name}') are both given; give one of them."
            )
        decided = {"backbone": self.backbone, "normalizer": self.normalizer, "framing": self.framing}
        wrong = self.source_model.contradictions(decided) + self.source_model.ruled_out(self.present)
        if self.training != SourceTraining():
            wrong.append(
                f"training is given, but the source model '{self.source_model.name}' is trained already"
            )
        if wrong:
            raise ConfigurationError(
                "; ".join(wrong) + ". Leave out what the model decides, or train on sources instead."
            )
        return self

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
    def source_taxonomy(self) -> TaxonomySpec:
        """The classes of the sources: those that `training.taxonomy` names, else the target's, unless these are its own."""
        stated = self.training.taxonomy
        return stated or (PAPER_CLASSES if self.taxonomy.build().open else self.taxonomy)

    @property
    def digest(self) -> str:
        """Sixteen hex digits, equal for equal recipes on any machine; a trained source model counts by what it is."""
        return digest(self.model_dump(mode="json", exclude={"source_model": {"name"}}))

    def with_(self, **fields: Unpack[RecipeFields]) -> Self:
        """This recipe with some fields changed; nested fields may be given as mappings of the changes.

        A plug-in that is given by name gets its own defaults. A source model takes the place of sources and of their training,
        and sources that of a source model; fields that were never given take the defaults that go with it.

        >>> Recipe().with_(few_shot={"draw": 3}, seed=1).few_shot.draw
        3
        """
        every = self.model_dump(mode="json")
        merged = {name: every[name] for name in every if name in self.model_fields_set}
        for one, other in (
            ("sources", "source_model"),
            ("source_model", "sources"),
            ("source_model", "training"),
        ):
            if fields.get(one) and other not in fields:
                merged.pop(other, None)
        for name, value in fields.items():
            current = every.get(name)
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

        With a trained source model, only what a preset says of the adaptation is applied.

        Raises:
            UnknownNameError: If there is no such preset; the message suggests the nearest names.
            ConfigurationError: If a preset says nothing of the adaptation, and there is a trained source model.
        """
        recipe = self
        for name in names:
            edits = edits_of(name) if self.source_model is None else adaptation_of(name)
            if not edits:
                raise ConfigurationError(
                    f"The preset '{name}' says how a source model is trained, and this recipe has a trained one; leave it out."
                )
            same = "adapter" in edits and adapters.build(edits["adapter"]).name == recipe.adapter.name
            recipe = recipe.with_(
                **{field: to for field, to in edits.items() if not (same and field == "adapter")}
            )
        return recipe

    def to_yaml(self) -> str:
        """Every field with its value, defaults included; paths are absolute, because a file may be moved or sent."""
        fields = placed(self.model_dump(mode="json"), type(self).model_fields, Path.cwd())
        return yaml_text.dump(fields)

    def _repr_html_(self) -> str:
        given, usual = (one.model_dump(mode="json") for one in (self, Recipe()))
        return recipe_html(given, usual, self.digest, self.to_yaml())

    @classmethod
    def from_yaml(cls, text: str | Path) -> Self:
        """Read a recipe from YAML text, or from a file given as a `Path`; fields that are missing take their defaults.

        Relative paths (of weights, or in options of plug-ins) are relative to the file; in a text, to the working directory.

        Raises:
            ConfigurationError: If it is not a YAML mapping, or a field is unknown, mistyped or impossible.
        """
        file, fields = isinstance(text, Path), fields_in(text)
        above = path_of(text).absolute().parent if file else None
        try:
            return cls(**(fields if above is None else placed(fields, cls.model_fields, above)))
        except ConfigurationError as error:
            raise ConfigurationError(f"{text}: {error}" if file else str(error)) from error

    def run(
        self,
        target: "str | CellDataset",
        data: str | Path | None = None,
        *,
        store: "Store | str | Path | None" = None,
        keep_model: bool = True,
        progress: bool = True,
        log: "Iterable[Logger]" = (),
        on: str = "local",
    ) -> "RunResult":
        """Run this recipe on a target; see `cellda.run`."""
        from cellda.experiment.workflow import run

        return run(self, target, data, store=store, keep_model=keep_model, progress=progress, log=log, on=on)

    def adapt(
        self,
        labelled: "str | CellDataset | None" = None,
        unlabelled: "str | Path | Sequence[str | Path]" = (),
        data: str | Path | None = None,
        *,
        store: "Store | str | Path | None" = None,
        measure: bool = True,
        progress: bool = True,
    ) -> "CellClassifier":
        """Adapt to all cells of a laboratory; see `cellda.adapt`."""
        from cellda.experiment.workflow import adapt

        return adapt(self, labelled, unlabelled, data, store=store, measure=measure, progress=progress)
