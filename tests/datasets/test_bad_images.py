"""Images that cannot be read are reported together, before anything is trained."""

from pathlib import Path

import pytest
from PIL import Image

import cellda.datasets
import tiny
from cellda.errors import DataError
from cellda.experiment.workflow import run


def drawn_folder(root: Path) -> Path:
    cells = cellda.datasets.load("synthetic/1", per_class=4)
    for row, image in enumerate(cells.read(range(len(cells)), 32)):
        file = root / cells.table["label"][row] / f"{row}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    return root


def test_broken_target_images_are_listed_together_and_nothing_is_trained(tmp_path: Path) -> None:
    root = drawn_folder(tmp_path / "cells")
    for name in ("basophil/0.png", "neutrophil/20.png"):
        (root / name).write_bytes((root / name).read_bytes()[:60])
    target = cellda.datasets.load("folder", root)
    with pytest.raises(DataError) as caught:
        run(tiny.recipe(few_shot={"n": 6}), target, store=tmp_path / "store", progress=False)
    assert len(caught.value.problems) == 2
    assert "basophil/0.png" in str(caught.value)
    assert "neutrophil/20.png" in str(caught.value)
    assert not (tmp_path / "store" / "source").exists()
