"""Classes on the command line: chosen, counted, mapped."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import cellda.datasets
from cellda.taxonomies import create
from said import text

TINY = (
    "--preset", "laptop", "--set", "backbone.name=test_efficientnet", "--set", "backbone.weights=none",
    "--set", "backbone.image_size=32", "--set", "training.epochs=1", "--set", "search=null", "--set", "device=cpu",
    "--set", "adapter.epochs=1", "--source", "synthetic/0", "--set", "training.holdout=0",
)  # fmt: skip


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Three folders of nine cells under a laboratory's own words."""
    images = cellda.datasets.load("synthetic/1", per_class=3).read(range(9), 48).permute(0, 2, 3, 1).numpy()
    for shade, name in enumerate(("Neutrofile", "Blob", "monocyte")):
        (tmp_path / "cells" / name).mkdir(parents=True)
        for number, image in enumerate(images):
            darker = (image * (1 - 0.2 * shade)).astype(np.uint8)
            darker[0, 0] = shade
            Image.fromarray(darker).save(tmp_path / "cells" / name / f"{number}.png")
    return tmp_path / "cells"


def test_a_check_drafts_what_own_names_mean_and_reads_it_back(cellda_, cells, tmp_path) -> None:
    file = tmp_path / "labels.yaml"
    said = cellda_("datasets", "check", f"folder={cells}", "--map", file)
    assert said.status == 1  # not usable as it is
    assert f"Wrote {file}" in said.out + said.err
    drafted = file.read_text()
    assert "Neutrofile: neutrophil" in drafted
    assert "Blob: ???" in drafted
    assert "monocyte" not in drafted.split("\n", 2)[2]  # it is known
    said = cellda_("datasets", "check", f"folder={cells}", "--map", file)
    assert "'Blob' has no class yet" in text(said.out + said.err)
    file.write_text(drafted.replace("???", "platelet"))
    said = cellda_("datasets", "check", f"folder={cells}", "--map", file)
    assert said.status == 0
    assert "9 Blob" in text(said.out)
    said = cellda_("datasets", "check", f"folder={cells}", "--map", file, "--taxonomy", "wbc8")
    assert said.status == 0
    assert "9 Blob" not in text(said.out)


def test_cells_are_counted_under_each_taxonomy(cellda_, cells, tmp_path) -> None:
    file = tmp_path / "labels.yaml"
    file.write_text("Neutrofile: band neutrophil\nBlob: platelet\n")
    said = cellda_("datasets", "show", f"folder={cells}", "--map", file)
    assert said.status == 0
    shown = text(said.out)
    assert "band neutrophil 9" in shown
    assert "platelet 9" in shown
    for name in ("paper6", "wbc5", "wbc8", "wbc13"):
        assert name in shown


def test_own_classes_are_run_and_measured(cellda_, cells, tmp_path) -> None:
    save = tmp_path / "run"
    said = cellda_(
        "run", "--target", f"folder={cells}", *TINY, "--taxonomy", "own", "--n", 9,
        "--store", tmp_path / "store", "--save", save,
    )  # fmt: skip
    assert said.status == 0, said.err
    columns = pd.read_parquet(save / "predictions.parquet").columns
    assert [name for name in columns if name.startswith("p_")] == ["p_Blob", "p_Neutrofile", "p_monocyte"]


def test_taxonomies_are_listed_and_misspelt_ones_refused(cellda_) -> None:
    listed = cellda_("list", "taxonomies")
    assert all(name in listed.out for name in ("own", "paper6", "wbc13"))
    said = cellda_("run", "--target", "synthetic/1", "--taxonomy", "wbc31")
    assert said.status == 2
    assert "did you mean 'wbc13'" in text(said.err)
    said = cellda_("run", "--target", "synthetic/1", "--map", "x.yaml")
    assert "--map is for labels of your own" in text(said.err)


def test_a_run_in_other_classes_says_so_in_its_predictions(cellda_, tmp_path) -> None:
    save = tmp_path / "run"
    said = cellda_(
        "run", "--target", "synthetic/1", *TINY, "--taxonomy", "wbc5", "--n", 15,
        "--store", tmp_path / "store", "--save", save,
    )  # fmt: skip
    assert said.status == 0, said.err
    labels = set(pd.read_parquet(save / "predictions.parquet")["label"])
    assert labels == set(create("wbc5").classes)
