"""Networks, sets and recipes that are small enough to train many times a second."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, nn

import cellda.datasets
from cellda import CellClassifier, Recipe
from cellda.data.few_shot import draw_support
from cellda.data.image_set import ImageSet
from cellda.datasets.base import CellDataset
from cellda.evaluation.predictions import probability_columns
from cellda.experiment.run import Run
from cellda.experiment.workspace import Workspace
from cellda.models.description import read_description
from cellda.models.judged import seen_of
from cellda.models.spec import Backbone
from cellda.normalizers.identity import Identity
from cellda.normalizers.spec import NormalizerSpec
from cellda.runtime.work import Stage, Work
from cellda.source_models.cards import Card, Trained
from cellda.taxonomies import DEFAULT, create
from cellda.training.loop import Trainer
from cellda.training.settings import Training

SIDE = 32
CLASSES = create(DEFAULT).classes
"""Those of the paper."""
PROBABILITIES = probability_columns(CLASSES)
SOURCE = Work(Stage.TRAIN_SOURCE)
"""The training of a source model, as `trainings` counts it."""


def recipe(**edits: Any) -> Recipe:
    """A whole run in about a second: one drawn source, a random network, two epochs everywhere."""
    base = Recipe(
        sources=[{"name": "synthetic/0", "options": {"per_class": 6}}],
        backbone={"name": "test_efficientnet", "weights": "none", "image_size": SIDE},
        training={"epochs": 1},
        few_shot={"n": 18},
        adapter={"name": "full", "epochs": 2},
        search=None,
        device="cpu",
    )
    return base.with_(**edits)


def target(variant: int = 1, per_class: int = 7) -> CellDataset:
    return cellda.datasets.load(f"synthetic/{variant}", per_class=per_class)


def model_folder(folder: Path, *sources: CellDataset, **fields: Any) -> Path:
    """An untrained source model in half precision, with a card that says it was trained on these datasets.

    Args:
        folder: It is created.
        sources: By default one synthetic dataset.
        fields: Fields of the recipe that decide the model.
    """
    made = recipe(**fields)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CellClassifier(made.backbone, made.normalizer, framing=made.framing)
    trained = sources or (target(0),)
    if model.normalizer.needs_fit:
        model.normalizer.fit([trained[0].read(range(len(trained[0])), SIDE).float() / 255])
    model.save(folder, half=True)
    described = read_description(folder).weights
    assert described is not None
    Card(
        summary="Untrained, for tests.",
        recipe=made.model_dump(mode="json"),
        sources=[Trained.on(one) for one in trained],
        held_out={},
        left_out={},
        never_seen=(),
        classes={},
        weights=described.sha256,
        versions={},
    ).write(folder)
    return folder


def prepared(chosen: Recipe, folder: Path, aim: CellDataset | None = None) -> Run:
    return Run.prepare(chosen, aim or target(), quiet(folder))


def quiet(folder: Path) -> Workspace:
    """No folder of data, a store of its own, and no bars."""
    return Workspace(store=folder, progress=False)


def adapting(name: str) -> Work:
    """The training of an adapter, as `trainings` counts it."""
    return Work(Stage.ADAPT, name)


def brightness_set(per_class: int = 4, classes: int = 6, seed: int = 0, **fields: Any) -> ImageSet:
    """Noise of one brightness a class: `classes * per_class` images of 16 x 16, class by class."""
    labels = torch.arange(classes).repeat_interleave(per_class)
    noise = torch.randint(0, 30, (len(labels), 3, 16, 16), generator=Generator().manual_seed(seed))
    pixels = (noise + 35 * labels.view(-1, 1, 1, 1)).to(torch.uint8)
    groups = tuple(str(number) for number in range(len(labels)))
    return ImageSet(pixels, torch.arange(len(labels)), Identity(), labels, groups, **fields)


def small_net(classes: int = 6, seed: int = 0) -> nn.Module:
    """A convolution with BatchNorm2d, dropout, and a head with BatchNorm1d."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.BatchNorm1d(6),
            nn.Dropout(0.1),
            nn.Linear(6, classes),
        )


def small_model() -> CellClassifier:
    """An untrained classifier of 32 px that has seen a few dark images; always the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = Backbone(name="test_efficientnet", weights="none", image_size=SIDE)
        model = CellClassifier(backbone, NormalizerSpec(name="identity")).eval()
    shown = brightness_set(per_class=4, classes=2, seed=9)
    embeddings = Trainer("cpu").embeddings(model, shown)
    model.seen = seen_of(embeddings, shown.labels, torch.ones(len(shown), dtype=torch.bool), [0.0], [])
    return model


def quick(**fields: Any) -> Training:
    return Training(**{"epochs": 2, "batch_size": 8, "lr": 1e-2, **fields})


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all weights and statistics."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two states are equal, bit by bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def relabelled(shot, protocol: str) -> tuple[CellDataset, object]:
    """The target with the labels of its query rows permuted, and the draw it had before."""
    aim = target()
    draw = draw_support(aim, shot.n, shot.draw, protocol, shot.kind)
    labels = aim.table["label"].to_numpy(copy=True)
    rows = list(draw.query)
    labels[rows] = np.roll(labels[rows], 5)
    aim.table["label"] = labels
    return aim, draw
