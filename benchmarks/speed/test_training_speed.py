"""Source training and adaptation against the loop a user would write, and against fastai."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import cellda.adapters
from benchmarks.speed import cells, plain
from benchmarks.speed.contest import Peer, contest
from cellda import Recipe
from cellda.adapters.base import AdaptContext, TargetView
from cellda.data.image_set import ImageSet
from cellda.data.pixel_cache import cached_pixels
from cellda.runtime.storage.store import Store
from cellda.training.examples import ImageExamples
from cellda.training.loop import Trainer


@pytest.mark.parametrize(
    ("what", "recipe"),
    [
        ("source_training", cells.LAPTOP.with_preset("published_training")),
        ("source_training_default", cells.LAPTOP),
    ],
)
def test_source_training(benchmark: Any, data_root: Path, tmp_path: Path, what: str, recipe: Recipe) -> None:
    """Two epochs of source training on 240 images of Barcelona; cellda first decodes them into a fresh cache.

    The peers train as in the paper: the same work as `published_training`. The default freezes BatchNorm's statistics.
    """
    dataset = cells.some("barcelona", data_root, 40, tmp_path / "barcelona")
    settings = recipe.training.model_copy(update={"epochs": 2})
    trainer, mine, theirs = Trainer("cpu"), cells.model(), cells.model()
    stores = (Store(tmp_path / f"store{number}") for number in range(100))

    def ours() -> None:
        pixels = cached_pixels(dataset, cells.SIZE, next(stores))
        rows = torch.arange(len(dataset))
        images = ImageSet(pixels, rows, mine.normalizer, dataset.labels, degrade=True)
        trainer.fit(mine, ImageExamples(images), settings, seed=0)

    def user(workers: int) -> Peer:
        examples = plain.CellFiles(cells.files(dataset), dataset.labels.tolist(), cells.SIZE, degrade=True)
        batch = settings.batch_size
        return Peer(
            lambda: plain.train(theirs, examples, epochs=2, batch_size=batch, workers=workers), asked=2
        )

    peers = {"plain loop": user(0), "plain loop, 2 workers": user(2)}
    contest(benchmark, what, ours, peers, images=2 * len(dataset), rounds=5)


def test_adaptation(benchmark: Any, data_root: Path, tmp_path: Path) -> None:
    """Three epochs of all weights on 100 cells of Raabin, in batches of 8; cellda decodes them first."""
    dataset = cells.some("raabin", data_root, 20, tmp_path / "raabin")
    files, labels = cells.files(dataset), dataset.labels.tolist()
    trainer, mine, theirs = Trainer("cpu"), cells.model(), cells.model()
    adapter = cellda.adapters.create("full", epochs=3)

    def ours() -> None:
        images = cells.decoded(dataset, mine)
        adapter.adapt(mine, TargetView(images), AdaptContext(trainer, seed=0))

    def user(workers: int, frozen: bool = False) -> Peer:
        examples = plain.CellFiles(files, labels, cells.SIZE, degrade=False)
        return Peer(
            lambda: plain.train(theirs, examples, epochs=3, batch_size=8, workers=workers, frozen=frozen),
            asked=1.5,
        )

    learner = _fastai(files, labels)

    def fastai() -> None:
        with learner.no_bar(), learner.no_logging():
            learner.fine_tune(3, freeze_epochs=0)

    peers = {
        "plain loop": user(0),
        "plain loop, BatchNorm frozen": user(0, frozen=True),
        "plain loop, 2 workers": user(2),
        "fastai fine_tune": Peer(fastai, asked=1.5),
    }
    contest(benchmark, "adaptation", ours, peers, images=3 * len(dataset), rounds=5)


def test_head_only(benchmark: Any, data_root: Path, tmp_path: Path) -> None:
    """50 epochs of the head on 100 cells; the peer sends the decoded and normalized images through the frozen encoder."""
    dataset = cells.some("raabin", data_root, 20, tmp_path / "raabin")
    trainer, mine, theirs = Trainer("cpu"), cells.model(), cells.model()
    images = cells.decoded(dataset, mine)
    adapter = cellda.adapters.create("head_only")
    with torch.no_grad():
        inputs = theirs.normalized(images.raw(range(len(images)))).contiguous()

    def ours() -> None:
        adapter.adapt(mine, TargetView(images), AdaptContext(trainer, seed=0))

    def user() -> None:
        optimizer = torch.optim.AdamW(theirs.head.parameters(), lr=1e-3)
        theirs.eval()
        theirs.head.train()
        for _ in range(50):
            for batch in torch.split(torch.randperm(len(inputs)), 16):
                with torch.no_grad():
                    embedded = theirs.embed(inputs[batch])
                optimizer.zero_grad()
                torch.autograd.backward(F.cross_entropy(theirs.head(embedded), images.labels[batch]))
                optimizer.step()

    peers = {"through the frozen encoder": Peer(user, asked=20)}
    contest(benchmark, "head_only", ours, peers, images=50 * len(dataset), rounds=3)


def _fastai(files: list[Path], labels: list[int]) -> Any:
    """A fastai learner on the same backbone, image size, batch size and flips."""
    from fastai.vision.all import (
        CrossEntropyLossFlat,
        ImageDataLoaders,
        Resize,
        ResizeMethod,
        aug_transforms,
        vision_learner,
    )

    batch_transforms = aug_transforms(
        flip_vert=True, max_rotate=0, max_zoom=1, max_lighting=0, max_warp=0, p_affine=0, p_lighting=0
    )
    loaders = ImageDataLoaders.from_lists(
        "/",
        files,
        labels,
        valid_pct=0.01,
        item_tfms=Resize(cells.SIZE, method=ResizeMethod.Squish),
        batch_tfms=batch_transforms,
        bs=8,
        num_workers=0,
    )
    learner = vision_learner(
        loaders, cells.LAPTOP.backbone.name, pretrained=False, loss_func=CrossEntropyLossFlat(), n_out=6
    )
    assert isinstance(learner.model, nn.Module)
    return learner
