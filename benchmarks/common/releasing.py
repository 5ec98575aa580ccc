"""How a trained source model is made: trained, rounded to half precision, measured, and written with its card."""

import math
import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from benchmarks.common.left_out import without
from benchmarks.common.model_page import page
from benchmarks.common.releases import Release
from benchmarks.common.source import source_run
from cellda import CellClassifier, Recipe
from cellda.data.image_set import ImageSet
from cellda.data.pixel_cache import cached_pixels
from cellda.errors import ConfigurationError
from cellda.evaluation.metrics import measure
from cellda.experiment.making import make_ready
from cellda.experiment.naming import source_condition
from cellda.experiment.run import Run
from cellda.experiment.scoring import prediction_table
from cellda.experiment.seen import Cells, seen_in_training
from cellda.experiment.stages import source_model, source_splits
from cellda.experiment.workspace import Workspace
from cellda.models.saved import described
from cellda.runtime.versions import COMPUTING, versions
from cellda.source_models.cards import Card, ClassStatistics, Scores, Spread, Trained
from cellda.source_models.folders import CARD
from cellda.training.loop import Trainer

EACH, ALL = 8_000_000, 25_000_000
"""Most bytes of one model with its card, and of all of them."""


class Parts(NamedTuple):
    """The training and the held-out cells of every source."""

    trained: list[Cells]
    held: list[Cells]


def trained(recipe: Recipe, workspace: Workspace, trainer: Trainer) -> tuple[Run, CellClassifier]:
    """The source model of a recipe, from the store or trained now, rounded to half precision."""
    run = source_run(recipe, workspace)
    make_ready([run], trainer)
    with workspace.display():
        return run, CellClassifier.load(source_model(run, trainer)).halved()


def make(release: Release, workspace: Workspace, home: Path) -> Path:
    """Make a model and write its folder into `home`, where it replaces an earlier version.

    Finished trainings are taken from the store, and interrupted ones resume.

    Raises:
        ConfigurationError: If nothing is held out from training, or the folder is larger than a wheel should hold.
    """
    recipe, trainer = release.recipe, Trainer(release.recipe.device)
    if recipe.training.holdout == 0:
        raise ConfigurationError(f"The release '{release.name}' holds out no cells to be measured on.")
    run, model = trained(recipe, workspace, trainer)
    parts = parts_of(run, model)
    held_out = {part.dataset.full_name: scores(predicted(run, trainer, model, part)) for part in parts.held}
    model.seen = seen_in_training(trainer, model, parts.trained, parts.held)
    left_out = {
        name: scores(left_out_predictions(less, name, workspace, trainer))
        for name in release.left_out
        if (less := without(recipe, name)) is not None
    }
    labels = torch.cat([part.images.labels for part in parts.trained])
    counts = labels.bincount(minlength=len(model.classes)).tolist()
    with TemporaryDirectory(dir=home, prefix=".release-") as place:
        folder = model.save(Path(place) / release.name, half=True)
        weights = described(folder)[1].weights
        assert weights is not None  # it was written a moment ago
        card = Card(
            summary=release.summary,
            recipe=recipe.model_dump(mode="json"),
            sources=tuple(map(Trained.on, run.sources)),
            held_out=held_out,
            left_out=left_out,
            never_seen=tuple(name for name, count in zip(model.classes, counts, strict=True) if not count),
            classes=statistics_of(trainer, model, parts.held),
            weights=weights.sha256,
            versions=versions("cellda", *COMPUTING),
        )
        card.write(folder)
        (folder / "README.md").write_text(page(release.name, card), encoding="utf-8")
        check_size(folder, home)
        final = home / release.name
        shutil.rmtree(final, ignore_errors=True)
        return folder.rename(final)


def parts_of(run: Run, model: CellClassifier) -> Parts:
    """The training and the held-out cells of a run's sources, with the model's normalizer."""
    sets = run.source_sets(model.normalizer)
    parts = Parts([], [])
    for dataset, images, rows in zip(run.sources, sets, source_splits(run, sets), strict=True):
        for cells, chosen in zip(parts, rows, strict=True):
            cells.append(Cells(dataset, images.subset(chosen)))
    return parts


def left_out_predictions(recipe: Recipe, name: str, workspace: Workspace, trainer: Trainer) -> pd.DataFrame:
    """Predictions of all cells of a dataset, by a model that was trained without it."""
    run, model = trained(recipe, workspace, trainer)
    dataset = workspace.load(name)
    model = model.in_classes(dataset.taxonomy, recipe.seed)
    pixels = cached_pixels(dataset, recipe.backbone.image_size, workspace.store, recipe.framing)
    rows, groups = torch.arange(len(dataset)), tuple(dataset.effective_groups())
    images = ImageSet(pixels, rows, model.normalizer, dataset.labels, groups)
    return predicted(run, trainer, model, Cells(dataset, images))


def predicted(run: Run, trainer: Trainer, model: CellClassifier, cells: Cells) -> pd.DataFrame:
    """Predictions of some cells."""
    dataset = cells.dataset
    return prediction_table(
        dataset,
        cells.images.rows.tolist(),
        trainer.probabilities(model, cells.images),
        condition=source_condition(run),
        draw=0,
        seed=run.recipe.seed,
        protocol="clean",
        groups=dataset.effective_groups(),
    )


def scores(predictions: pd.DataFrame) -> Scores:
    """What a card says of predictions."""
    measured = measure(predictions)
    balanced = measured.balanced_accuracy.value
    return Scores(
        cells=measured.n,
        accuracy=_rounded(measured.accuracy.value),
        balanced_accuracy=None if math.isnan(balanced) else _rounded(balanced),
        ece=_rounded(measured.ece),
    )


def statistics_of(
    trainer: Trainer, model: CellClassifier, parts: Iterable[Cells]
) -> dict[str, ClassStatistics]:
    """Statistics of the cells of each class, of all parts together."""
    found = {}
    for number, name in enumerate(model.classes):
        own = [_of_class(part, number) for part in parts]
        cells = [part for part in own if len(part.images)]
        if cells:
            embeddings = torch.cat([trainer.embeddings(model, part.images) for part in cells])
            sides = [side for part in cells for side in part.sides()]
            found[name] = ClassStatistics(
                cells=len(embeddings),
                mean=tuple(map(_rounded, embeddings.mean(0).tolist())),
                std=tuple(map(_rounded, embeddings.std(0, correction=0).tolist())),
                sharpness=_spread([value for part in cells for value in part.sharpness()]),
                side=_spread(sides) if sides else None,
            )
    return found


def check_size(folder: Path, home: Path) -> None:
    """Refuse a model that is too large, or that makes all models of `home` too large.

    Raises:
        ConfigurationError: If it is.
    """
    own = _bytes(folder)
    others = [place for place in home.iterdir() if (place / CARD).is_file() and place.name != folder.name]
    together = own + sum(map(_bytes, others))
    for size, most, what in (
        (own, EACH, f"The model '{folder.name}' has"),
        (together, ALL, "All models have"),
    ):
        if size > most:
            raise ConfigurationError(
                f"{what} {size / 1e6:.1f} MB; a wheel holds at most {most / 1e6:.0f}: take a smaller backbone."
            )


def _of_class(cells: Cells, number: int) -> Cells:
    return Cells(cells.dataset, cells.images.subset((cells.images.labels == number).nonzero().flatten()))


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _spread(values: Iterable[float]) -> Spread:
    numbers = torch.tensor(list(values), dtype=torch.float64)
    return Spread(mean=_rounded(numbers.mean()), std=_rounded(numbers.std(correction=0)))


def _rounded(value: float | Tensor) -> float:
    """Five digits: as many as a card needs."""
    return float(f"{float(value):.5g}")
