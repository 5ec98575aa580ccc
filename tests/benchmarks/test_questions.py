"""The scripts of single questions answer them on synthetic cells, and on tables that are small enough to count by hand."""

from argparse import Namespace
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

import cellda.datasets
from benchmarks.common.options import arguments, command, with_recipe
from benchmarks.common.releases import RELEASES
from benchmarks.common.releasing import without
from benchmarks.questions import (
    backbones,
    bccd_leak,
    colour_shortcuts,
    source_accuracy,
    source_pools,
    threads,
)
from cellda.evaluation.metrics import measure
from cellda.evaluation.predictions import read_predictions
from cellda.models.encoder import build_encoder
from cellda.models.spec import Backbone
from cellda.models.timm_names import native_size


def test_a_slide_that_goes_with_a_class_is_a_shortcut_that_the_transform_takes_away(tmp_path):
    """Cells of two classes from two slides of different light: the frame alone tells them until colours are normalized."""
    cells = cellda.datasets.load("synthetic/1", per_class=20)
    for row, (path, label) in enumerate(zip(cells.table["path"], cells.table["label"], strict=True)):
        if label in ("monocyte", "neutrophil"):
            file = tmp_path / label / f"{Path(path).name}.png"
            file.parent.mkdir(exist_ok=True)
            light = 0.6 if label == "monocyte" else 1.0
            pixels = (cells.read([row], 128)[0] * light).to(torch.uint8)
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file)
    table = colour_shortcuts.measured([cellda.datasets.load("folder", tmp_path)], [0, 1])
    assert set(table["chance"]) == {0.5}
    frame = table[table["region"] == "frame"].groupby("transform")["balanced_accuracy"].mean()
    assert frame["identity"] > 0.95 > 0.8 > frame["reinhard"]


def test_copies_of_a_photograph_are_compared_class_by_class():
    # Of class a, one sibling of two is right, both others are; of class b, the sibling is right, two of four others are.
    rows = [("a", "p", 1), ("a", "p", 0), ("a", "q", 1), ("a", "r", 1), ("b", "p", 1)]
    rows += [("b", "q", 1), ("b", "q", 0), ("b", "r", 1), ("b", "r", 0)]
    table = pd.DataFrame(rows, columns=["label", "group", "right"])
    table["predicted"] = table["label"].where(table["right"] == 1, "other")
    found = bccd_leak.compared(table, {"p"})
    assert found == pytest.approx({"siblings_share": 3 / 9, "siblings": 0.75, "others": 0.75})
    assert found["siblings"] != pytest.approx(2 / 3)  # as it would be cell by cell


# --- source accuracy


def test_source_accuracy_comes_from_held_out_predictions(options, tmp_path, capsys):
    source_accuracy.main(options)
    predictions = read_predictions(tmp_path / "source_accuracy.parquet")
    assert len(predictions) == 36  # a fifth of 180
    measures = measure(predictions, resamples=10)
    table = pd.read_csv(tmp_path / "source_accuracy.csv").iloc[0]
    for name in ("accuracy", "macro_precision", "macro_recall"):
        assert table[name] == pytest.approx(getattr(measures, name).value, abs=1e-4)
    assert f"{measures.accuracy.value:.2f} [" in (tmp_path / "source_accuracy.md").read_text()
    assert "synthetic/0" in capsys.readouterr().out


def test_published_source_accuracy_stands_beside_ours(options, tmp_path):
    source_accuracy.main(options)
    predictions = read_predictions(tmp_path / "source_accuracy.parquet")
    assert len(source_accuracy.tables_of(predictions)) == 1
    _, beside = source_accuracy.tables_of(predictions.assign(target="munich_2019"))
    rows = [
        [cell.strip() for cell in line.split("|")]
        for line in beside.to_markdown().splitlines()
        if "| munich 2019 |" in line
    ]
    assert [(row[2], row[4]) for row in rows] == [
        ("accuracy", "0.88"),
        ("macro precision", "0.76"),
        ("macro recall", "0.77"),
    ]
    assert all(float(row[5]) == pytest.approx(float(row[3]) - float(row[4]), abs=6e-4) for row in rows)


# --- backbones


def asked(options: list[str], *names: str, weights: str, size: int | None = None) -> Namespace:
    """The parsed command line of the comparison."""
    given = with_recipe(arguments(None)).parse_args(options)
    return Namespace(**vars(given), backbones=names, weights=weights, image_size=size)


def test_backbones_are_compared(options, tmp_path):
    given = ["--weights", "none", "--image-size", "32", "--targets", "synthetic/1", "--cells", "8"]
    backbones.main([*options, "--backbones", "test_efficientnet", "test_vit", *given, "--draws", "0", "1"])
    table = pd.read_csv(tmp_path / "backbones.csv").set_index("backbone")
    assert list(table.index) == ["test_efficientnet", "test_vit"]
    predictions = read_predictions(tmp_path / "backbones.parquet")
    assert set(predictions["condition"]) == set(table.index)
    assert len(predictions) == 2 * 2 * (6 * 8 - 18)  # backbones, draws, cells outside the support
    held_out = read_predictions(tmp_path / "backbones_source.parquet")
    for name, row in table.iterrows():
        part = predictions[predictions["condition"] == name]
        accuracy = (part["label"] == part["predicted"]).groupby(part["draw"]).mean().mean()
        assert row["synthetic/1"] == row["mean"] == pytest.approx(accuracy, abs=1e-4)
        own = held_out[held_out["condition"] == name]
        assert row["source_synthetic/0"] == pytest.approx((own["label"] == own["predicted"]).mean(), abs=1e-4)
        assert row["image_size"] == 32


def test_a_backbone_without_weights_is_left_out_and_the_table_says_so(options, tmp_path):
    weights = tmp_path / "weights.pt"
    backbone = Backbone(name="test_efficientnet", weights="none", image_size=32)
    torch.save(build_encoder(backbone).state_dict(), weights)
    recipes, left_out = backbones.variants(
        asked(options, "test_efficientnet", "test_resnet", weights=str(weights), size=32)
    )
    assert list(recipes) == ["test_efficientnet"]
    (sentence,) = left_out
    assert "do not fit the encoder" in sentence
    table = pd.DataFrame([{"backbone": "test_efficientnet", "raabin": 0.5}])
    assert f"- Left out: {sentence}" in backbones.text_table(table, [f"Left out: {sentence}"]).to_markdown()


def test_each_backbone_gets_its_own_image_size(options):
    recipes, left_out = backbones.variants(asked(options, "test_vit", "test_efficientnet", weights="none"))
    assert {name: one.backbone.image_size for name, one in recipes.items()} == {
        "test_vit": 160,
        "test_efficientnet": 160,
    }
    assert all(one.search is None for one in recipes.values())
    assert left_out == []
    assert [native_size(name) for name in backbones.PAPER] == [224, 224, 224, 224, 299]


def test_no_backbone_left_is_a_sentence_and_a_status(options, capsys):
    given = [*options, "--backbones", "test_vit", "--weights", "nowhere.safetensors"]
    with pytest.raises(SystemExit) as ended:
        command(lambda: backbones.main(given))
    assert ended.value.code == 2
    assert "No backbone is left to compare" in capsys.readouterr().err


def test_few_cells_of_a_real_dataset(tmp_path):
    for name, number in (("NEU", 9), ("LYT", 2)):
        (tmp_path / "folder" / name).mkdir(parents=True)
        for i in range(number):
            Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "folder" / name / f"{i}.png")
    root = backbones.FewCells(tmp_path, 4)
    dataset = root.load("folder")
    assert dataset.class_counts() == {"lymphocyte": 2, "neutrophil": 4}
    again = backbones.FewCells(tmp_path, 4).load("folder")
    whole = cellda.datasets.load("folder", tmp_path / "folder")
    assert dataset.table.equals(again.table)
    assert dataset.fingerprint == again.fingerprint != whole.fingerprint
    assert root.load("folder").table.equals(again.table)
    assert len(root.load("synthetic/1")) == 24


def test_numbers_of_threads_are_compared_with_the_first():
    one, other = torch.tensor([[0.6, 0.4], [0.2, 0.8]]), torch.tensor([[0.4, 0.6], [0.2, 0.8]])
    alone = {"prediction alone, 1": one, "prediction alone, 2": one + 1e-6}
    first = {"no_fine_tune": one, "full": one, **alone}
    again, two = first, {"no_fine_tune": one, "full": other, **alone}
    rows = {(row["threads"], row["computed"]): row for row in threads.compared([first, again, two])}
    assert len(rows) == 6
    full = rows[2, "training and full"]
    assert (full["largest_difference"], full["other_class"], full["images"]) == ("2.0e-01", 1, 2)
    assert rows[1, "training and full"]["largest_difference"] == "0.0e+00"
    assert rows[2, "prediction alone"]["other_class"] == 0
    assert rows[2, "prediction alone"]["largest_difference"] != "0.0e+00"


@pytest.mark.parametrize("pool", source_pools.POOLS)
@pytest.mark.parametrize("target", source_pools.TARGETS)
def test_pools_leave_the_target_out_and_see_as_many_images(pool, target):
    cells = {
        "barcelona": 2160,
        "munich_2019": 21,
        "raabin": 1012,
        "bccd": 1500,
        "jin_woo_choi": 250,
        "jiangxi_tecom": 300,
    }
    cells["randomised"] = 6 * 800
    recipe = source_pools.recipe(pool, target, 1)
    assert recipe.seed == 1
    names = [source.name for source in recipe.sources]
    assert target not in names
    assert set(names) == {
        source if isinstance(source, str) else source["name"] for source in source_pools.POOLS[pool][0]
    } - {target}
    sizes = [cells[name] * (1 - recipe.training.holdout) for name in names]
    an_epoch = sum(sizes) if recipe.training.pooling == "root" else len(sizes) * max(sizes)
    assert 23_000 < recipe.training.epochs * an_epoch < 43_000


def test_the_released_pool_is_the_one_that_is_measured():
    released = next(release.recipe for release in RELEASES if release.name == "pooled")
    for target in source_pools.TARGETS:
        assert source_pools.recipe("root_own", target, released.seed) == without(released, target)
