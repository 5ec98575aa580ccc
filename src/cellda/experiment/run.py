"""A recipe brought together with its target and data, checked before anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch

from cellda.adapters.base import Need, Offer
from cellda.data.few_shot import Draw, draw_support, split_query
from cellda.data.image_set import ImageSet
from cellda.data.own_cells import OwnCells
from cellda.data.pixel_cache import cached_found, cached_pixels
from cellda.data.root import DataRoot
from cellda.data.spec import FewShot
from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError
from cellda.experiment.checks import check_search, search_of, sources_beside
from cellda.framing.spec import FramingSpec
from cellda.models.timm_names import encoder_structure
from cellda.normalizers.base import Normalizer
from cellda.normalizers.spec import NormalizerSpec
from cellda.plugins.code_digest import source_digest
from cellda.recipe import Recipe
from cellda.runtime.store import VERSIONS, Store, digest
from cellda.selection.folds import support_folds
from cellda.selection.selectors import POOL_MEASURES
from cellda.taxonomy import CLASSES
from cellda.training.loop import Trainer
from cellda.training.settings import Search

WITH_MODEL = "runs"
WITHOUT_MODEL = "runs-without-model"


@dataclass(frozen=True)
class Run:
    """One run to be made.

    Attributes:
        recipe: What is composed.
        sources: The loaded source datasets, in the recipe's order; empty where nothing of the run depends on them.
        target: The loaded target.
        draw: The support and query rows of the target.
        store: Where results of stages lie.
    """

    recipe: Recipe
    sources: tuple[CellDataset, ...]
    target: CellDataset
    draw: Draw
    store: Store

    @classmethod
    def prepare(
        cls,
        recipe: Recipe,
        target: str | CellDataset,
        data: str | Path | DataRoot | None,
        store: Store,
        *,
        oracle: bool = False,
    ) -> Self:
        """Load the tables (no image is decoded) and refuse what cannot work.

        Args:
            recipe: What is composed.
            target: The target, by name or loaded.
            data: Folder that holds one folder per dataset name.
            store: Where results of stages lie.
            oracle: Whether a recipe may choose its values by query labels, as an upper bound.

        Raises:
            ConfigurationError: If the target or its cells are among the sources, the adapter's needs are not met, or the
                data are too few for the draw, the search or the adapter; if two sources show the same cells.
            DataError: If a dataset's layout is not there.
        """
        check_search(recipe, oracle=oracle)
        root = data if isinstance(data, DataRoot) else DataRoot(data)
        aim = root.load(target) if isinstance(target, str) else target
        sources = sources_beside(aim, recipe, root)
        shot = recipe.few_shot
        draw = draw_support(aim, shot.n, shot.draw, recipe.protocol, shot.kind)
        if Need.LABELS in recipe.adapter.needs and len(draw.support) < 2:
            raise ConfigurationError(
                f"The adapter '{recipe.adapter.name}' needs labelled images, but the support set of {aim.full_name} holds "
                f"{len(draw.support)}; set few_shot.n to at least 2, or adapter='none'."
            )
        case = cls(recipe, sources, aim, draw, store)
        if Need.UNLABELLED in recipe.adapter.needs and not case.pool_rows:
            raise ConfigurationError(
                f"The adapter '{recipe.adapter.name}' needs unlabelled images; {aim.full_name} has none beside its support: "
                "choose another adapter."
            )
        return case._checked()

    @classmethod
    def own(
        cls,
        recipe: Recipe,
        labelled: str | CellDataset | None,
        images: Sequence[Path],
        data: str | Path | DataRoot | None,
        store: Store,
    ) -> Self:
        """What a laboratory has, all of it: every labelled cell is support, every image without a label is pool.

        Args:
            recipe: What is composed; how supports are drawn is not looked at.
            labelled: The labelled cells, by name or loaded; None where there are none.
            images: Image files without labels.
            data: Folder that holds one folder per dataset name.
            store: Where results of stages lie.

        Raises:
            ConfigurationError: If the labelled cells are among the sources, or the needs of adapter or search are not met.
            DataError: If a dataset's layout or an image is not there.
        """
        check_search(recipe, oracle=False)
        root = data if isinstance(data, DataRoot) else DataRoot(data)
        known = root.load(labelled) if isinstance(labelled, str) else labelled
        aim = OwnCells(known, images)
        sources = sources_beside(aim if known is None else known, recipe, root)
        rows = range(len(aim))
        draw = Draw(
            n=aim.count,
            draw=0,
            protocol=recipe.protocol,
            kind="all",
            support=tuple(rows[: aim.count]),
            query=tuple(rows[aim.count :]),
            unsupported=(),
            untested=(),
            groups=tuple(aim.effective_groups()),
        )
        drawn = recipe.with_(pool="query", few_shot=FewShot().model_dump())
        case = cls(drawn, sources, aim, draw, store)
        if case.uses_labels and aim.count < 2:
            raise ConfigurationError(
                f"The adapter '{recipe.adapter.name}', or its search, needs labelled cells, and there are {aim.count}: give "
                "at least 2, or take the preset 'best_without_labels'."
            )
        if case.uses_pool and not images:
            raise ConfigurationError(
                f"The adapter '{recipe.adapter.name}', or its search, needs unlabelled images: give some, or take the preset "
                "'best'."
            )
        return case._checked()

    def _checked(self) -> Self:
        """This case, unless its adapter or its search cannot work with what there is.

        Raises:
            ConfigurationError: If so.
        """
        self.recipe.adapter.check(self.offer)
        if self.search is not None and self.search.selector == "support_cv":
            labels = self.target.labels[list(self.draw.support)].numpy()
            support_folds(labels, self.support_groups, self.search.folds, self.seed)
        return self

    @property
    def search(self) -> Search | None:
        """The search to be made: None where the recipe wants none or its adapter declares no range (`none`)."""
        return search_of(self.recipe)

    @property
    def uses_labels(self) -> bool:
        """Whether the support labels are looked at."""
        searches = self.search is not None and self.search.selector == "support_cv"
        return searches or Need.LABELS in self.recipe.adapter.needs

    @property
    def source_key(self) -> dict[str, Any]:
        """All that the trained source model depends on."""
        return {
            **self.normalizer_key(self.recipe.normalizer),
            "backbone": self.recipe.backbone.model_dump(mode="json"),
            "weights": self.recipe.backbone.weights_digest,
            "training": self.recipe.training.model_dump(mode="json"),
            "trainer": source_digest(Trainer),
            "seed": self.recipe.seed,
        }

    def normalizer_key(self, normalizer: NormalizerSpec) -> dict[str, Any]:
        """All that a normalizer fitted on the sources depends on."""
        sources = [
            {**spec.model_dump(mode="json"), "fingerprint": dataset.fingerprint}
            for spec, dataset in zip(self.recipe.sources, self.sources, strict=False)
        ]
        size = self.recipe.backbone.image_size
        return {
            "sources": sources,
            "normalizer": normalizer.model_dump(mode="json"),
            "code": normalizer.code,
            "size": size,
            **self.recipe.framing.key,
        }

    @property
    def key(self) -> dict[str, Any]:
        """All that the run depends on."""
        normalizers = (self.recipe.normalizer, self.recipe.used_target_normalizer)
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "target": self.target.full_name,
            "fingerprints": [dataset.fingerprint for dataset in (self.target, *self.sources)],
            "weights": self.recipe.backbone.weights_digest,
            "code": [
                *(source_digest(type(part)) for part in self.recipe.adapter.parts()),
                *(spec.code for spec in normalizers),
                source_digest(Trainer),
            ],
            **self.recipe.framing.key,
        }

    @property
    def digest(self) -> str:
        """The run's digest: all it depends on, and the versions."""
        return digest({**self.key, "versions": VERSIONS})

    def finished(self, *, with_model: bool = False) -> Path | None:
        """The run's folder if it is in the store; one without the model counts unless it is asked for."""
        kinds = (WITH_MODEL,) if with_model else (WITH_MODEL, WITHOUT_MODEL)
        folders = (self.store.path(kind, self.key) for kind in kinds)
        return next((folder for folder in folders if folder.is_dir()), None)

    @property
    def seed(self) -> int:
        """Seed of the adaptation: every draw has its own."""
        return self.recipe.seed * 1000 + self.recipe.few_shot.draw

    @property
    def support_groups(self) -> tuple[str, ...]:
        """Group of every support image."""
        return tuple(self.draw.groups[row] for row in self.draw.support)

    @property
    def images(self) -> list[tuple[CellDataset, int, Store, FramingSpec]]:
        """The datasets whose images the run needs, with their size in pixels, where they are cached, and their framing."""
        size, framing = self.recipe.backbone.image_size, self.recipe.framing
        return [(dataset, size, self.store, framing) for dataset in (*self.sources, self.target)]

    @property
    def unframed(self) -> dict[str, int]:
        """How many images of each dataset are shown whole because the framing found no cell in them, where there are any."""
        missed = {images[0].full_name: int((~cached_found(*images)).sum()) for images in self.images}
        return {name: count for name, count in missed.items() if count}

    def support(self, normalizer: Normalizer) -> ImageSet:
        """The labelled support images."""
        rows = torch.tensor(self.draw.support, dtype=torch.int64)
        return ImageSet(
            self._pixels(self.target), rows, normalizer, self.target.labels[rows], self.support_groups
        )

    @cached_property
    def halves(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The query in two halves that share no group: the disjoint pool, and what is predicted with it."""
        return split_query(self.draw)

    @property
    def scored(self) -> tuple[int, ...]:
        """Rows that are predicted and measured on."""
        return self.draw.query if self.recipe.pool == "query" else self.halves[1]

    @property
    def pool_rows(self) -> tuple[int, ...]:
        """Rows of the unlabelled pool."""
        return self.draw.query if self.recipe.pool == "query" else self.halves[0]

    @cached_property
    def offer(self) -> Offer:
        """What the run has for its adapter."""
        labels = self.target.labels[list(self.draw.support)]
        return Offer(
            support=tuple(torch.bincount(labels, minlength=len(CLASSES)).tolist()),
            unlabelled=len(self.pool_rows) if Need.UNLABELLED in self.recipe.adapter.needs else 0,
            source=sum(len(source) for source in self.sources),
            classes=CLASSES,
            missing=self.draw.unsupported,
            encoder=encoder_structure(self.recipe.backbone.name),
        )

    @property
    def oracle(self) -> bool:
        """Whether the values of the adapter are chosen by query labels, so that the run is an upper bound."""
        return self.search is not None and self.search.selector == "oracle"

    @property
    def labels_used(self) -> int:
        """Number of target labels that are looked at before measuring."""
        return len(self.draw.support) * self.uses_labels + len(self.scored) * self.oracle

    @property
    def uses_pool(self) -> bool:
        """Whether unlabelled target images are looked at, by the adapter or by the selector."""
        measured = self.search is not None and self.search.selector in POOL_MEASURES
        return measured or Need.UNLABELLED in self.recipe.adapter.needs

    def query(self, normalizer: Normalizer) -> ImageSet:
        """The images that are predicted; they carry no labels."""
        return self._unlabelled(self.scored, normalizer)

    def pool(self, normalizer: Normalizer) -> ImageSet:
        """The unlabelled images that adapters may see."""
        return self._unlabelled(self.pool_rows, normalizer)

    def _unlabelled(self, rows: tuple[int, ...], normalizer: Normalizer) -> ImageSet:
        return ImageSet(self._pixels(self.target), torch.tensor(rows, dtype=torch.int64), normalizer)

    def source_sets(self, normalizer: Normalizer) -> tuple[ImageSet, ...]:
        """All labelled images of every source."""
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
        return cached_pixels(dataset, self.recipe.backbone.image_size, self.store, self.recipe.framing)
