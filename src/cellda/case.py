"""A recipe brought together with its target and data, checked before anything is trained."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, Self

import torch

from cellda.adapters.base import Need, Offer, Start
from cellda.code_digest import source_digest
from cellda.datasets.base import CellDataset
from cellda.datasets.cache import cached_found, cached_pixels
from cellda.datasets.draws import Draw, draw_support, split_query
from cellda.datasets.images import ImageSet
from cellda.datasets.root import DataRoot
from cellda.errors import ConfigurationError
from cellda.framing.spec import FramingSpec
from cellda.models.encoder import encoder_structure
from cellda.normalizers.base import Normalizer
from cellda.normalizers.spec import NormalizerSpec
from cellda.recipe import Recipe
from cellda.store import VERSIONS, Store, digest
from cellda.taxonomy import CLASSES
from cellda.training.folds import support_folds
from cellda.training.loop import Trainer
from cellda.training.selectors import POOL_MEASURES
from cellda.training.settings import Search

WITH_MODEL = "runs"
WITHOUT_MODEL = "runs-without-model"


@dataclass(frozen=True)
class Case:
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
        search = search_of(recipe)
        if search is not None and search.selector == "oracle" and not oracle:
            raise ConfigurationError(
                "The selector 'oracle' chooses by query labels: its results are an upper bound and no result of a method. It "
                "runs only in studies that ask for it, by Ablation(..., oracle=True); set search.selector to 'support_cv'."
            )
        if search is not None and search.selector == "source_val" and recipe.training.holdout == 0:
            raise ConfigurationError(
                "The selector 'source_val' measures on held-out source cells, but training.holdout=0 holds none out; set "
                "it to 0.2, or choose another selector."
            )
        root = data if isinstance(data, DataRoot) else DataRoot(data)
        aim = root.load(target) if isinstance(target, str) else target
        if aim.full_name in [source.name for source in recipe.sources]:
            raise ConfigurationError(
                f"'{aim.full_name}' is the target and among the sources, so the source model would have seen the query "
                f"images; take it out of the sources ({', '.join(source.name for source in recipe.sources)})."
            )
        twins = [spec.name for spec in recipe.sources if aim.shares_cells_with(spec.loader)]
        if twins:
            raise ConfigurationError(
                f"The target '{aim.full_name}' shows the same cells as the source '{twins[0]}' in other files, so the source "
                "model would have seen the query cells; choose another target or source."
            )
        for one, other in combinations(recipe.sources, 2):
            if one.loader.shares_cells_with(other.loader):
                raise ConfigurationError(
                    f"The sources '{one.name}' and '{other.name}' show the same cells, so that cells held out of one would be "
                    "trained on in the other; name one of them."
                )
        sources: tuple[CellDataset, ...] = ()
        if needs_sources(recipe):
            sources = tuple(root.load(source.name, **source.options) for source in recipe.sources)
        # A dataset may go by two names (`synthetic` is `synthetic/0`), or lie under two.
        shared = [
            source.full_name
            for source in sources
            if source.full_name == aim.full_name or source.fingerprint == aim.fingerprint
        ]
        if shared:
            raise ConfigurationError(
                f"The target '{aim.full_name}' holds the very images of the source '{shared[0]}'; choose another target or "
                "source."
            )
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
        recipe.adapter.check(case.offer)
        if case.search is not None and case.search.selector == "support_cv":
            labels = aim.labels[list(draw.support)].numpy()
            support_folds(labels, case.support_groups, case.search.folds, case.seed)
        return case

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


def search_of(recipe: Recipe) -> Search | None:
    """The search that a recipe makes: None where it wants none, or its adapter declares no range (`none`)."""
    search = recipe.search
    made = search is not None and search.selector != "fixed" and recipe.adapter.search_space()
    return search if made else None


def needs_sources(recipe: Recipe) -> bool:
    """Whether anything of a run depends on the source images."""
    adapter = recipe.adapter
    fitted = any(spec.build().needs_fit for spec in (recipe.normalizer, recipe.used_target_normalizer))
    search = search_of(recipe)
    measured = search is not None and search.selector == "source_val"
    return adapter.start is Start.SOURCE or Need.SOURCE in adapter.needs or fitted or measured
