"""A recipe with its target and data, checked before anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch

from cellda.adapters.base import Need, Offer
from cellda.data.few_shot import Draw, split_query
from cellda.data.image_set import ImageSet
from cellda.data.own_cells import OwnCells
from cellda.data.own_draw import every_label
from cellda.data.pixel_cache import cached_pixels
from cellda.data.spec import FewShot
from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError
from cellda.experiment import checks
from cellda.experiment.keys import adaptation_key, normalizer_key, search_key, source_key
from cellda.experiment.known_cells import warn_of_known_cells
from cellda.experiment.statement import check_statement, known, unlearned, usable
from cellda.experiment.workspace import Workspace
from cellda.framing.spec import FramingSpec
from cellda.models.timm_names import encoder_structure
from cellda.normalizers.base import Normalizer
from cellda.normalizers.spec import NormalizerSpec
from cellda.recipe import Recipe
from cellda.runtime.storage.store import Store, stage_digest
from cellda.selection.folds import support_folds
from cellda.selection.selectors.base import Use
from cellda.selection.settings import Search
from cellda.taxonomies.base import Taxonomy

WITH_MODEL = "runs"
WITHOUT_MODEL = "runs-without-model"


@dataclass(frozen=True)
class Run:
    """One prepared run.

    Attributes:
        recipe: The recipe.
        sources: The loaded source datasets, in the recipe's order; empty if no part of the run depends on them.
        target: The loaded target.
        draw: The support and query rows of the target.
        workspace: Where data are found and results are kept.
        measured: Whether the labelled cells are also predicted, each by a model that has not learned from it.
    """

    recipe: Recipe
    sources: tuple[CellDataset, ...]
    target: CellDataset
    draw: Draw
    workspace: Workspace
    measured: bool = False

    @classmethod
    def prepare(
        cls, recipe: Recipe, target: str | CellDataset, workspace: Workspace, *, oracle: bool = False
    ) -> Self:
        """Load the tables (no image is decoded) and refuse combinations that cannot work.

        Args:
            recipe: The recipe.
            target: The target, by name or loaded.
            workspace: Where data are found and results are kept.
            oracle: Whether the recipe may choose its values by query labels, as an upper bound.

        Raises:
            ConfigurationError: If the target or its cells are among the sources, two sources show the same cells, the
                adapter's needs are not met, or there are too few data for the draw, the search or the adapter.
            DataError: If a dataset's layout is not the published one, or images of it have several classes.
        """
        checks.check_recipe(recipe, oracle=oracle)
        aim = checks.loaded(target, recipe, workspace)
        sources = checks.sources_beside(aim, recipe, workspace)
        warn_of_known_cells(recipe, aim)
        draw = workspace.draw(aim, recipe.few_shot, recipe.protocol)
        if Need.LABELS in recipe.adapter.needs and len(draw.support) < 2:
            raise ConfigurationError(
                f"The adapter '{recipe.adapter.name}' needs labelled images, but the support set of {aim.full_name} holds "
                f"{len(draw.support)}; set few_shot.n to at least 2, or adapter='none'."
            )
        measured = recipe.calibration != "none" and Need.LABELS in recipe.adapter.needs
        run = cls(recipe, sources, aim, draw, workspace, measured)
        if Need.UNLABELLED in recipe.adapter.needs and not run.pool_rows:
            raise ConfigurationError(
                f"The adapter '{recipe.adapter.name}' needs unlabelled images, but {aim.full_name} has none outside its "
                "support set: choose another adapter."
            )
        return run._checked()

    @classmethod
    def own(
        cls,
        recipe: Recipe,
        labelled: str | CellDataset | None,
        images: Sequence[Path],
        workspace: Workspace,
        *,
        measured: bool = False,
    ) -> Self:
        """A run on all data of a laboratory: labelled cells form the support set, unlabelled images the pool.

        Args:
            recipe: The recipe; its `few_shot` and `pool` are not used.
            labelled: The labelled cells, by name or loaded; None if there are none.
            images: Image files without labels.
            workspace: Where data are found and results are kept.
            measured: Whether the labelled cells are also predicted by cross-validation.

        Raises:
            ConfigurationError: If the labelled cells are among the sources, or the needs of adapter or search are not met.
            DataError: If a dataset's layout is not the published one, or an image does not exist.
        """
        checks.check_recipe(recipe, oracle=False)
        cells = None if labelled is None else checks.loaded(labelled, recipe, workspace)
        classes = recipe.taxonomy.build()
        if cells is None and classes.open:
            raise ConfigurationError("taxonomy='own' takes the classes of labelled cells; there are none.")
        aim = OwnCells(cells, images, classes)
        sources = checks.sources_beside(aim if cells is None else cells, recipe, workspace)
        draw = every_label(aim.count, aim.effective_groups(), recipe.protocol)
        recipe = recipe.with_(pool="query", few_shot=FewShot().model_dump())
        run = cls(recipe, sources, aim, draw, workspace, measured)
        if run.uses_labels and aim.count < 2:
            raise ConfigurationError(
                f"The adapter '{recipe.adapter.name}', or its search, needs labelled cells, but there are {aim.count}: give "
                "at least 2, or use the preset 'best_without_labels'."
            )
        if run.uses_pool and not images:
            raise ConfigurationError(
                f"The adapter '{recipe.adapter.name}', or its search, needs unlabelled images: give some, or choose "
                "another adapter, such as 'full+tta'."
            )
        return run._checked()

    def _checked(self) -> Self:
        """This run, if its adapter and its search can work with the data; a ConfigurationError says why they cannot."""
        checks.check_head(self.recipe, self.taxonomy, checks.trained_classes(self.recipe))
        if self.uses_labels:
            checks.check_classes(self.offer, self.recipe, self.target)
        rows, used = (self.draw.support, self.scored), self.uses_labels
        check_statement(self.recipe, self.sources, self.target, *rows, used=used)
        self.workspace.warn(unlearned(self.recipe, self.sources, self.target, rows[0], used=used))
        self.recipe.adapter.check(self.offer)
        if self.search is not None and Use.SUPPORT_LABELS in self.uses:
            labels = self.target.labels[list(self.draw.support)].numpy()
            support_folds(labels, self.support_groups, self.search.folds, self.seed)
        return self

    @cached_property
    def source_key(self) -> dict[str, Any]:
        """Everything that the trained source model depends on."""
        return self.workspace.same(source_key(self.recipe, self.sources))

    def normalizer_key(self, normalizer: NormalizerSpec) -> dict[str, Any]:
        """Everything that a normalizer fitted on the sources depends on."""
        return normalizer_key(self.recipe, normalizer, self.sources)

    @property
    def key(self) -> dict[str, Any]:
        """Everything that the run depends on. Not kept: a study may have 100,000."""
        rows = {"support": self.draw.support, "pool": self.pool_rows, "scored": self.scored}
        key = adaptation_key(self.recipe, self.sources, self.target, rows, self.source_key, self.measured)
        return key if self.search is None else search_key(key, self.search)

    @cached_property
    def digest(self) -> str:
        """The run's digest."""
        return stage_digest(self.key)

    def finished(self, *, with_model: bool = False) -> Path | None:
        """The run's folder if it is in the store; with `with_model`, only if it includes the model."""
        kinds, key = (WITH_MODEL,) if with_model else (WITH_MODEL, WITHOUT_MODEL), self.key
        return next(filter(None, (self.workspace.store.find(kind, key) for kind in kinds)), None)

    def is_finished(self, *, with_model: bool = False) -> bool:
        """Whether the run is in the store (`finished`), without copying it from a bucket."""
        kinds, key = (WITH_MODEL,) if with_model else (WITH_MODEL, WITHOUT_MODEL), self.key
        return any(self.workspace.store.has(kind, key) for kind in kinds)

    @property
    def seed(self) -> int:
        """Seed of the adaptation, different for every draw."""
        return self.recipe.seed * 1000 + self.recipe.few_shot.draw

    @property
    def search(self) -> Search | None:
        """The search of the run; None if the recipe has none or its adapter declares no range (`none`)."""
        return checks.search_of(self.recipe)

    @property
    def uses(self) -> frozenset[Use]:
        """The evidence that the search uses; empty without a search."""
        return frozenset() if self.search is None else self.search.uses

    @property
    def uses_labels(self) -> bool:
        """Whether the support labels are used."""
        return Use.SUPPORT_LABELS in self.uses or Need.LABELS in self.recipe.adapter.needs

    @property
    def uses_pool(self) -> bool:
        """Whether unlabelled target images are used, by the adapter or by the selector."""
        return Use.POOL in self.uses or Need.UNLABELLED in self.recipe.adapter.needs

    @property
    def oracle(self) -> bool:
        """Whether query labels choose the adapter's values, which makes the run an upper bound."""
        return Use.QUERY_LABELS in self.uses

    @property
    def labels_used(self) -> int:
        """Number of target labels that are used before measuring."""
        return len(self.draw.support) * int(self.uses_labels) + len(self.scored) * int(self.oracle)

    @property
    def taxonomy(self) -> Taxonomy:
        """The classes of the target."""
        return self.target.taxonomy

    @cached_property
    def offer(self) -> Offer:
        """What the run provides to its adapter."""
        labels = self.target.labels[list(self.draw.support)]
        return Offer(
            support=tuple(torch.bincount(labels, minlength=len(self.taxonomy.classes)).tolist()),
            unlabelled=len(self.pool_rows) if Need.UNLABELLED in self.recipe.adapter.needs else 0,
            source=usable(self.recipe, self.taxonomy, self.sources),
            classes=self.taxonomy.classes,
            missing=known(self.recipe, self.draw.unsupported),
            encoder=encoder_structure(self.recipe.backbone.name),
        )

    @cached_property
    def halves(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Two halves of the query that share no group: the disjoint pool, and the half that is predicted with it."""
        return split_query(self.draw)

    @property
    def scored(self) -> tuple[int, ...]:
        """Rows that are predicted and measured."""
        return self.draw.query if self.recipe.pool == "query" else self.halves[1]

    @property
    def pool_rows(self) -> tuple[int, ...]:
        """Rows of the unlabelled pool."""
        return self.draw.query if self.recipe.pool == "query" else self.halves[0]

    @property
    def support_groups(self) -> tuple[str, ...]:
        """Group of every support image."""
        return tuple(self.draw.groups[row] for row in self.draw.support)

    @property
    def images(self) -> list[tuple[CellDataset, int, Store, FramingSpec]]:
        """The datasets whose images the run needs, each with image size in pixels, store of the cache, and framing."""
        size, framing, store = self.recipe.backbone.image_size, self.recipe.framing, self.workspace.store
        return [(dataset, size, store, framing) for dataset in (*self.sources, self.target)]

    def support(self, normalizer: Normalizer) -> ImageSet:
        """The labelled support images."""
        rows = torch.tensor(self.draw.support, dtype=torch.int64)
        return ImageSet(
            self._pixels(self.target), rows, normalizer, self.target.labels[rows], self.support_groups
        )

    def query(self, normalizer: Normalizer) -> ImageSet:
        """The images to predict, without labels."""
        return self._unlabelled(self.scored, normalizer)

    def pool(self, normalizer: Normalizer) -> ImageSet:
        """The unlabelled images that adapters may see."""
        return self._unlabelled(self.pool_rows, normalizer)

    def _unlabelled(self, rows: tuple[int, ...], normalizer: Normalizer) -> ImageSet:
        return ImageSet(self._pixels(self.target), torch.tensor(rows, dtype=torch.int64), normalizer)

    def source_sets(self, normalizer: Normalizer) -> tuple[ImageSet, ...]:
        """All labelled images of every source, in the classes of the source model."""
        return tuple(
            ImageSet(
                self._pixels(dataset),
                torch.arange(len(dataset)),
                normalizer,
                dataset.labels,
                tuple(dataset.effective_groups()),
                degrade=spec.degrade,
            )
            for spec, dataset in zip(self.recipe.sources, self.sources, strict=True)
        )

    def _pixels(self, dataset: CellDataset) -> torch.Tensor:
        return cached_pixels(
            dataset, self.recipe.backbone.image_size, self.workspace.store, self.recipe.framing
        )
