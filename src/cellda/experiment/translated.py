"""Source images in the classes of the target, where the source model tells finer or other ones apart."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from cellda.data.image_set import ImageSet
from cellda.experiment.run import Run
from cellda.taxonomies.base import UNLABELLED

Splits = Sequence[tuple[list[int], list[int]]]
"""Training and held-out positions of every source."""


def in_target_classes(run: Run, number: int, images: ImageSet) -> ImageSet:
    """Images of a source, labelled with the target's classes; without those that belong to none of them.

    Args:
        run: The run.
        number: Of the source, in the order of the recipe.
        images: Some of its images, in the classes of the source model.
    """
    dataset, classes = run.sources[number], run.taxonomy.classes
    if dataset.taxonomy.classes == classes and not dataset.taxonomy.members:
        return images
    naming = replace(dataset.naming, taxonomy=run.taxonomy)
    raw = dataset.table["raw_label"].iloc[images.rows.tolist()]
    names = {name: naming.fold(name) if naming.is_known(name) else None for name in set(raw)}
    numbers = {name: UNLABELLED if own is None else classes.index(own) for name, own in names.items()}
    labels = torch.tensor([numbers[name] for name in raw], dtype=torch.int64)
    kept = (labels != UNLABELLED).nonzero().flatten()
    return replace(images.subset(kept), known_labels=labels[kept])


def training_part(run: Run, sets: Sequence[ImageSet], splits: Splits) -> tuple[ImageSet, ...]:
    """The images of every source that its model was trained on."""
    parts = enumerate(zip(sets, splits, strict=True))
    return tuple(in_target_classes(run, number, images.subset(rows)) for number, (images, (rows, _)) in parts)


def held_out_part(run: Run, sets: Sequence[ImageSet], splits: Splits) -> tuple[ImageSet, ...]:
    """The images of every source that were held out from training; of sources that hold some out."""
    parts = enumerate(zip(sets, splits, strict=True))
    return tuple(
        in_target_classes(run, number, images.subset(rows)) for number, (images, (_, rows)) in parts if rows
    )
