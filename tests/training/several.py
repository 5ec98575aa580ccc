"""Trainings that are the same in one process and in several; as a program, all of them in those of a launcher.

They run in double precision: in single precision, Adam makes steps of full size from the rounding of gradients near zero.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

import cellda.adapters
from cellda.adapters.base import AdaptContext, TargetView
from cellda.models.classifier import CellClassifier
from cellda.models.finite import DivergedError
from cellda.training import ranks
from cellda.training.batches import Mix
from cellda.training.examples import ImageExamples
from cellda.training.loop import Trainer
from cellda.training.mixstyle import mixed_styles
from tiny import brightness_set, quick, small_model, state

State = dict[str, Tensor]

SOURCES = (brightness_set(per_class=3, seed=2), brightness_set(per_class=3, seed=3))
SUPPORT = brightness_set(per_class=2, seed=1)
POOL = replace(brightness_set(per_class=5, seed=4), known_labels=None)

ADAPTERS = (
    *("full", "mixed_source", "bitfit", "norm_only", "surgical", "l2_sp", "bss", "delta", "self_training"),
    *("fixmatch", "mean_teacher", "mcc", "mme", "coral", "dann", "mmd", "tent"),
)
"""All that train an encoder in double precision; `lp_ft` and `shot` also hand single precision to a head."""


@contextmanager
def double() -> Iterator[None]:
    """Context in which images are prepared, and new layers made, in double precision."""
    prepare, normalized = ImageExamples.prepare, CellClassifier.normalized
    with (
        patch.object(ImageExamples, "prepare", lambda *given: prepare(*given).double()),
        patch.object(
            CellClassifier, "normalized", lambda own, pixels: normalized(own, pixels).to(own.mean.dtype)
        ),
    ):
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)


def fitted(
    model: CellClassifier | None = None, folder: Path | None = None, images: int = 7, **settings: Any
) -> State:
    """The weights and losses of a source training: two sets in equal parts, of so many images, in batches of at most 5."""
    model = (model or small_model()).double()
    sets = brightness_set(per_class=2, seed=5), brightness_set(per_class=1, seed=6, degrade=True)
    losses = Trainer("cpu").fit(
        model,
        ImageExamples(*sets, stain_jitter=1.0),
        quick(
            **{
                "epochs": 3,
                "batch_size": 5,
                "lr": 1e-3,
                "label_smoothing": 0.1,
                "one_cycle": True,
                **settings,
            }
        ),
        seed=0,
        order=Mix((12, 6), per_epoch=images),
        checkpoints=folder,
    )
    return {**state(model), "losses": torch.tensor(losses)}


def with_dropout() -> CellClassifier:
    """A classifier whose encoder draws random numbers."""
    model = small_model()
    model.encoder = nn.Sequential(model.encoder, nn.Dropout(0.2))
    return model


def mixed() -> State:
    model = small_model()
    with mixed_styles(model.encoder, 0.5):
        return fitted(model, epochs=1)


def adapted(name: str) -> State:
    """The weights after an adapter."""
    adapter = cellda.adapters.create(name)
    few = {"epochs": 2, "min_steps": 0, "batch_size": 5, "source_images": 18, "threshold": 0.0}
    adapter = adapter.model_copy(
        update={key: few[key] for key in few.keys() & type(adapter).model_fields.keys()}
    )
    model = adapter.apply(
        small_model().double(), TargetView(SUPPORT, POOL), AdaptContext(Trainer("cpu"), 0, SOURCES)
    )
    return state(model)


def diverged() -> State:
    """What is said of a loss that is not finite, in the form of a tensor."""
    model = small_model()
    model.head.get_parameter("2.bias").data.fill_(torch.inf)
    try:
        fitted(model)
    except DivergedError as error:
        return {"said": torch.tensor(list(str(error).encode()))}
    raise AssertionError("the loss was finite")


SOURCE_TRAININGS: dict[str, Callable[[], State]] = {
    "diverged": diverged,
    "frozen": lambda: fitted(bn="frozen"),
    "train": lambda: fitted(bn="train"),
    "parts of one image": lambda: fitted(bn="train", images=1, epochs=1),
    "dropout": lambda: fitted(with_dropout(), epochs=1),
    "mixstyle": mixed,
}


def trained(name: str) -> State:
    """The weights after a training."""
    with double():
        return SOURCE_TRAININGS[name]() if name in SOURCE_TRAININGS else adapted(name)


def kept(folder: Path) -> State:
    """A training that keeps checkpoints."""
    with double():
        return fitted(bn="train", folder=folder)


def dies_beside(folder: Path) -> None:
    """Let another process than the main one die when there is a checkpoint after two epochs."""
    forward = ranks.Helper.forward

    def deadly(helper: ranks.Helper, order: Any) -> None:
        if (folder / "epoch_00002").exists():
            os._exit(9)
        forward(helper, order)

    ranks.Helper.forward = deadly


def program(file: Path, folder: Path, names: Sequence[str]) -> None:
    """Write the weights of trainings, and then train with checkpoints."""
    torch.save({name: trained(name) for name in names}, file)
    kept(folder)


if __name__ == "__main__":
    file, folder = map(Path, sys.argv[1:3])
    dies_beside(folder)
    ranks.on_main(lambda: program(file, folder, sys.argv[3:]))
