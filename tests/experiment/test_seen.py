"""What is measured on the cells that a model was trained on."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from cellda import datasets
from cellda.errors import DataError
from cellda.experiment.seen import Cells, seen_in_adaptation
from cellda.training.loop import Trainer
from tiny import brightness_set, small_model


def cells(folder: Path) -> Cells:
    for number, size in enumerate([(40, 30), (50, 60)]):
        file = folder / "neutrophil" / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(file)
    return Cells(datasets.load("folder", folder), SimpleNamespace(rows=torch.arange(2)))


def test_sides_are_those_of_the_files(tmp_path: Path) -> None:
    assert cells(tmp_path).sides() == [30, 50]


def test_a_file_that_is_damaged_since_it_was_decoded_is_an_error(tmp_path: Path) -> None:
    known = cells(tmp_path)
    (tmp_path / "neutrophil" / "1.png").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"1\.png cannot be used"):
        known.sides()


def test_a_handful_of_cells_does_not_say_which_others_are_like_them() -> None:
    rendered, images, model = (
        datasets.load("synthetic/1", per_class=2),
        brightness_set(per_class=2),
        small_model(),
    )

    def seen(own: int, source: int):
        target, others = (
            [Cells(rendered, images.subset(torch.arange(n)))] if n else [] for n in (own, source)
        )
        return seen_in_adaptation(Trainer("cpu"), model, target, others)

    assert seen(9, 0) is None
    assert seen(10, 0) is not None
    assert seen(1, 12) is not None  # those of the sources say it
    assert seen(0, 12) is None


def test_cells_without_a_file_of_their_own_have_no_side() -> None:
    rendered = datasets.load("synthetic/1", per_class=1)
    assert Cells(rendered, SimpleNamespace(rows=torch.arange(6))).sides() == []
