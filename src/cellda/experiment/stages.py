"""The stages that runs share (fitted normalizer, source model); each is built once and stored."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor

from cellda.adapters.base import Start
from cellda.data.image_set import ImageSet
from cellda.errors import ConfigurationError, DataError
from cellda.evaluation.predictions import read_predictions, write_predictions
from cellda.experiment.checks import trained_classes
from cellda.experiment.naming import source_condition
from cellda.experiment.run import Run
from cellda.experiment.scoring import prediction_table
from cellda.experiment.seen import Cells, seen_in_adaptation, seen_in_training
from cellda.models.classifier import CellClassifier
from cellda.models.encoder import build_encoder
from cellda.normalizers.base import Normalizer
from cellda.normalizers.spec import NormalizerSpec
from cellda.runtime.clock import Clock
from cellda.runtime.storage.manifest import WORKING
from cellda.runtime.tensor_file import write_tensors
from cellda.runtime.work import Stage, Work
from cellda.selection.folds import group_folds
from cellda.text import counted
from cellda.training.batches import order_of
from cellda.training.checkpoints import trained_once
from cellda.training.examples import ImageExamples
from cellda.training.loop import Trainer
from cellda.training.mixstyle import mixed_styles
from cellda.training.objective import objective_of

SOURCE_RECORD = "source.json"
HELD_OUT = "held_out.parquet"
NORMALIZER = "normalizer.safetensors"
FIT_BATCH = 64


def check_weights(runs: Iterable[Run]) -> None:
    """Fetch the weights that unfinished runs start from, so that missing ones are noticed before any training.

    Raises:
        UnknownNameError: If timm has no such backbone.
        ConfigurationError: If the weights cannot be obtained or do not fit.
        DataError: If the files of a trained source model are damaged.
    """
    runs = list(runs)
    backbones = [
        run.recipe.backbone
        for run in runs
        if run.recipe.adapter.start is Start.PRETRAINED or not has_source_model(run)
    ]
    for model in dict.fromkeys(run.recipe.source_model for run in runs):
        if model is not None:
            CellClassifier.load(model.folder)
    with torch.random.fork_rng():
        for backbone in dict.fromkeys(backbones):
            build_encoder(backbone)


def has_source_model(run: Run) -> bool:
    """Whether the source model of a run needs no training: it is in the store, or the recipe names a trained one."""
    return run.recipe.source_model is not None or run.workspace.store.has("source", run.source_key)


def normalizer_state(run: Run, spec: NormalizerSpec) -> dict[str, Tensor]:
    """State of a normalizer, fitted on the source images if it needs fitting; a trained source model holds that of its own."""
    module = spec.build()
    if not module.needs_fit:
        return dict(module.state_dict())
    if run.recipe.source_model is not None:
        return dict(CellClassifier.load(run.recipe.source_model.folder).normalizer.state_dict())

    def make(folder: Path) -> None:
        module.fit(_batches(run.source_sets(module)))
        write_tensors(module.state_dict(), folder / NORMALIZER)

    key = run.normalizer_key(spec)
    return dict(load_file(run.workspace.store.build("normalizer", key, make) / NORMALIZER))


def fitted_normalizer(run: Run, spec: NormalizerSpec) -> Normalizer:
    """A normalizer with its fitted state."""
    module = spec.build()
    module.load_state_dict(normalizer_state(run, spec))
    return module


def fresh_model(run: Run, classes: Sequence[str]) -> CellClassifier:
    """A model of these classes before any training: the backbone's weights; embedding and head drawn with its seed."""
    recipe = run.recipe
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = CellClassifier(recipe.backbone, recipe.normalizer, classes, framing=recipe.framing)
    return model.with_normalizer(recipe.normalizer, normalizer_state(run, recipe.normalizer))


def source_model(run: Run, trainer: Trainer) -> Path:
    """Folder of the source model: the trained one that the recipe names, or else the one trained on the sources.

    The latter is trained once for all targets, draws and adapters. Its folder holds the classifier, `source.json` with the
    accuracy on the held-out part of every source, losses and seconds, and `held_out.parquet` with the predictions of those
    parts.
    """
    recipe = run.recipe
    if recipe.source_model is not None:
        recipe.source_model.check_unchanged()
        return recipe.source_model.folder

    def make(folder: Path) -> None:
        clock = Clock()
        model = fresh_model(run, trained_classes(run.recipe))
        whole = run.source_sets(model.normalizer)
        splits = source_splits(run, whole)
        parts = [images.subset(train) for images, (train, _) in zip(whole, splits, strict=True)]
        names, labels = tuple(source.name for source in recipe.sources), [part.labels for part in parts]

        def train() -> list[float]:
            with clock.stage("train"), mixed_styles(model.encoder, recipe.training.mixstyle):
                return trainer.fit(
                    model,
                    ImageExamples(*parts, stain_jitter=recipe.training.stain_jitter),
                    recipe.training,
                    seed=recipe.seed,
                    work=Work(Stage.TRAIN_SOURCE),
                    order=order_of(recipe.training.pooling, labels, names),
                    objective=objective_of(recipe.training, labels, names, run.sources[0].taxonomy),
                    checkpoints=folder / WORKING / "checkpoints",
                )

        losses = trained_once(model, folder / WORKING / "trained", train)
        held = {
            recipe.sources[number].name: _predicted(run, trainer, model, number, images, rows)
            for number, (images, (_, rows)) in enumerate(zip(whole, splits, strict=True))
            if rows
        }
        if held:
            write_predictions(pd.concat(held.values()), folder / HELD_OUT)
        others = [images.subset(rows) for images, (_, rows) in zip(whole, splits, strict=True)]
        model.seen = seen_in_training(
            trainer, model, list(map(Cells, run.sources, parts)), list(map(Cells, run.sources, others))
        )
        model.save(folder)
        accuracy = {name: float((part["predicted"] == part["label"]).mean()) for name, part in held.items()}
        record = {"held_out_accuracy": accuracy, "losses": losses, "seconds": clock.seconds}
        (folder / SOURCE_RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    return run.workspace.store.build("source", run.source_key, make)


def held_out_predictions(source: Path) -> pd.DataFrame:
    """Predictions of the source cells held out from training: a prediction table with condition `source`.

    Its `target` is the source of the cell. Groups are kept whole, so its protocol is `clean`.

    Args:
        source: The folder that `source_model` returned.

    Raises:
        DataError: If nothing was held out, or the model was made by a version that did not keep predictions.
    """
    if not (source / HELD_OUT).is_file():
        raise DataError(
            f"The source model in {source} has no {HELD_OUT}: it was trained with training.holdout=0, or before these "
            "predictions were kept. Set training.holdout, or remove that folder to train it again."
        )
    return read_predictions(source / HELD_OUT)


def _batches(sets: Iterable[ImageSet]) -> Iterator[Tensor]:
    """Raw images in [0, 1], batch by batch."""
    for images in sets:
        for start in range(0, len(images), FIT_BATCH):
            yield images.raw(range(start, min(start + FIT_BATCH, len(images)))).float() / 255


def look_back(run: Run, trainer: Trainer, model: CellClassifier) -> None:
    """Store with an adapted model what it has seen: what its source model has, if it used no cell of the target."""
    if not (run.uses_labels or run.uses_pool):
        return
    target = [Cells(run.target, run.support(model.normalizer))] if run.uses_labels else []
    if run.uses_pool:
        target.append(Cells(run.target, run.pool(model.normalizer)))
    source: list[Cells] = []
    if run.recipe.adapter.start is Start.SOURCE:
        sets = run.source_sets(fitted_normalizer(run, run.recipe.normalizer))
        trained = zip(sets, source_splits(run, sets), strict=True)
        source = [
            Cells(dataset, images.subset(rows))
            for dataset, (images, (rows, _)) in zip(run.sources, trained, strict=True)
        ]
    model.seen = seen_in_adaptation(trainer, model, target, source)


def source_splits(run: Run, sets: Sequence[ImageSet]) -> list[tuple[list[int], list[int]]]:
    """Training and held-out positions of every source."""
    training, seed = run.recipe.training, run.recipe.seed
    return [
        _holdout(images, training.holdout, seed, source.name)
        for source, images in zip(run.recipe.sources, sets, strict=True)
    ]


def _holdout(images: ImageSet, share: float, seed: int, name: str) -> tuple[list[int], list[int]]:
    """Stratified split of a source into training and held-out positions; groups stay together.

    Raises:
        ConfigurationError: If the source is too small.
    """
    if share == 0:
        return list(range(len(images))), []
    labels, groups = images.labels.numpy(), np.asarray(images.groups)
    number = max(2, round(1 / share))
    if np.bincount(labels).max() < number or len(np.unique(groups)) < 2:
        raise ConfigurationError(
            f"Holding out {share} of the source '{name}' needs a class with at least {number} images, and at "
            f"least 2 groups; it has {counted(len(labels), 'image(s)')} in {counted(len(np.unique(groups)), 'group(s)')}. "
            "Set training.holdout=0."
        )
    train, held = group_folds(labels, groups, number, seed)[0]
    return train.tolist(), held.tolist()


def _predicted(
    run: Run, trainer: Trainer, model: CellClassifier, number: int, images: ImageSet, rows: list[int]
) -> pd.DataFrame:
    """Predictions of the held-out rows of a source whose class is known, not only a coarser type."""
    rows = [row for row in rows if images.labels[row] < len(trained_classes(run.recipe))]
    return prediction_table(
        run.sources[number],
        rows,
        trainer.probabilities(model, images.subset(rows), Work(Stage.MEASURE_SOURCE)),
        condition=source_condition(run),
        draw=0,
        seed=run.recipe.seed,
        protocol="clean",
        groups=images.groups,
    )
