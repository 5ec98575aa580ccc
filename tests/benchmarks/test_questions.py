"""The scripts of single questions answer them on synthetic cells, and on tables that are small enough to count by hand."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import cellda.datasets
from benchmarks.common.left_out import without
from benchmarks.common.options import arguments, command, with_recipe
from benchmarks.common.red_cells import find_red_cells
from benchmarks.common.releases import RELEASES
from benchmarks.common.results import RESULTS
from benchmarks.questions import (
    backbones,
    bccd_leak,
    colour_shortcuts,
    red_cells,
    rejection,
    source_accuracy,
    source_pools,
    taxonomies,
    threads,
    tight_crops,
    views,
)
from cellda.evaluation.metrics import measure
from cellda.evaluation.predictions import classes_of, read_predictions, validate
from cellda.models.encoder import build_encoder
from cellda.models.spec import Backbone
from cellda.models.timm_names import native_size
from cellda.taxonomies import create
from predicted import run
from tiny import CLASSES


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


# --- framing of tight crops, and averages of two views


def test_tight_crops_are_files_of_their_class_around_the_nucleus(tmp_path):
    cells = cellda.datasets.load("synthetic/0", per_class=2)
    folder = tight_crops.write_crops(cells, "inside", tmp_path / "crops")
    crops = cellda.datasets.load("folder", folder)
    assert 0 < len(crops) <= len(cells)
    assert set(crops.table["label"]) <= set(cells.table["label"])
    sides = []
    for path in crops.table["path"]:
        with Image.open(folder / path) as image:
            sides.append(image.size)
    assert all(max(side) < 256 and max(side) - min(side) <= 1 for side in sides)
    again = tight_crops.write_crops(cells, "inside", tmp_path / "again")
    assert cellda.datasets.load("folder", again).fingerprint == crops.fingerprint


def test_two_views_are_averaged_cell_by_cell_whatever_the_order_of_rows():
    predictions = read_predictions(RESULTS / "zoo")
    chosen = predictions[(predictions["target"] == "jin_woo_choi") & (predictions["draw"] == 0)]
    whole, framed = (chosen[chosen["condition"] == name] for name in ("none", "none@cell"))
    mixed = views.averaged(whole, framed.sample(frac=1, random_state=1)).set_index("path")
    path = framed["path"].iloc[3]
    column = "p_neutrophil"
    expected = (whole.set_index("path").loc[path, column] + framed.set_index("path").loc[path, column]) / 2
    assert mixed.loc[path, column] == pytest.approx(expected)
    assert mixed.loc[path, "predicted"] == max(CLASSES, key=lambda name: mixed.loc[path, f"p_{name}"])
    with pytest.raises(ValueError, match="other cells"):
        views.averaged(whole, framed.iloc[1:])


def test_red_cells_are_measured_also_where_the_frame_cuts_them_and_white_cells_are_not():
    """Three red cells of 60 px, one pale in the middle, one cut by the frame; a nucleus in its cell, and a platelet."""
    y, x = np.mgrid[:300, :300]
    image = np.full((300, 300, 3), (235, 220, 225), np.uint8)

    def paint(column: float, row: float, diameter: float, colour: tuple[int, int, int]) -> None:
        image[np.hypot(x - column, y - row) < diameter / 2] = colour

    red, pale, violet = (200, 140, 150), (228, 205, 212), (90, 40, 130)
    paint(60, 60, 60, red)
    paint(60, 60, 24, pale)
    paint(240, 60, 60, red)
    paint(60, 290, 60, red)
    paint(150, 165, 110, (210, 190, 215))
    paint(150, 165, 80, violet)
    paint(250, 250, 12, violet)
    found = sorted((disc.x, disc.y, disc.diameter) for disc in find_red_cells(image))
    assert np.allclose(found, [(60, 60, 60), (60, 290, 60), (240, 60, 60)], atol=3)
    assert find_red_cells(np.full((90, 90, 3), 200, np.uint8)) == []


def test_one_class_moves_the_scale_of_nuclei_and_not_that_of_red_cells():
    """Small nuclei (40 px) and large ones (80 px) beside the same red cells (50 px): the median of all is 80."""
    rows = [("a", 40.0)] * 25 + [("b", 80.0)] * 35
    table = pd.DataFrame(rows, columns=["label", "nucleus"]).assign(
        set="cells", height=300, width=300, away=0.0, filled=False, red_cells=2, red=50.0, true=np.nan
    )
    small, large = red_cells.by_class(table)
    assert (small["nuclei"], small["red"], small["told_other"]) == (0.5, 1.0, True)
    assert small["squares_nuclei"] == pytest.approx(80 / 1.4 / 40)  # in all, they take the least usual size
    assert small["squares_red"] == 1.0
    assert (large["nuclei"], large["told_other"], large["squares_nuclei"]) == (1.0, False, 1.0)
    assert small["nucleus_in_red_cells"] == 0.8


# --- taxonomies


def fine_table() -> pd.DataFrame:
    """Four cells of a model of thirteen classes; the last is of none of the six."""
    classes = create("wbc13").classes
    rows = run("source, learned thirteen", "x", 0, 1.0).iloc[:4]
    rows = rows.drop(columns=[f"p_{name}" for name in CLASSES])
    labels = ["band neutrophil", "segmented neutrophil", "monocyte", "blast"]
    p = np.zeros((4, 13), np.float32)
    for row, (name, other) in enumerate(
        [("monocyte", 0.4), ("band neutrophil", 0.5), ("monocyte", 0.9), ("blast", 1)]
    ):
        p[row, classes.index(name)] = other
    p[0, [classes.index("band neutrophil"), classes.index("segmented neutrophil")]] = 0.3
    p[1, classes.index("segmented neutrophil")] = 0.5
    p[2, classes.index("myelocyte")] = 0.1
    rows = rows.assign(label=labels, predicted=[classes[number] for number in p.argmax(1)])
    return validate(rows.assign(**{f"p_{name}": p[:, number] for number, name in enumerate(classes)}))


def test_finer_predictions_are_summed_over_the_kinds_of_a_class():
    six = taxonomies.in_sums(fine_table(), "six")
    assert classes_of(six) == CLASSES
    assert list(six["label"]) == ["neutrophil", "neutrophil", "monocyte"]
    # 0.3 + 0.3 for the two kinds of neutrophils is more than 0.4 for monocytes.
    assert list(six["predicted"]) == ["neutrophil", "neutrophil", "monocyte"]
    assert six["p_neutrophil"].iloc[0] == pytest.approx(0.6)
    assert six["p_monocyte"].iloc[2] == pytest.approx(1.0)  # a myelocyte is none of the six
    validate(six)


def test_a_table_of_taxonomies_has_means_over_runs_and_the_distance_of_stages():
    fine = fine_table()
    wrong = fine.assign(draw=1, predicted=["segmented neutrophil", *fine["predicted"][1:]])
    table = taxonomies.table_of({"thirteen": pd.concat([fine, wrong])})
    [row] = table.to_dict("records")
    assert (row["answered"], row["target"], row["runs"], row["classes"]) == ("thirteen", "x", 2, 4)
    assert row["accuracy"] == pytest.approx((2 / 4 + 2 / 4) / 2)
    # In the first run the band is called a monocyte, which is no stage; in the second a segmented one, a stage too far.
    assert row["stages_apart"] == pytest.approx(((0 + 1 + 0) / 2 + (1 + 1 + 0) / 3) / 2)


@pytest.mark.parametrize("learned", taxonomies.TAXONOMIES)
def test_recipes_of_taxonomies_differ_in_what_the_source_model_learns(learned):
    fine = taxonomies.recipe(learned, "six")
    assert fine.taxonomy.name == "paper6"
    assert fine.source_taxonomy.name == taxonomies.TAXONOMIES[learned]
    own = taxonomies.recipe(learned, learned)
    assert own.taxonomy.name == own.source_taxonomy.name == taxonomies.TAXONOMIES[learned]


def test_boxes_of_photographs_are_cells_of_no_class(tmp_path):
    fields = tmp_path / "BCCD"
    (fields / "Annotations").mkdir(parents=True)
    (fields / "JPEGImages").mkdir()
    Image.new("RGB", (80, 60), (200, 180, 190)).save(fields / "JPEGImages" / "a.jpg")
    box = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>42</xmax><ymax>33</ymax></bndbox>"
    kinds = "".join(f"<object><name>{name}</name>{box}</object>" for name in (*rejection.BOXES, "WBC"))
    (fields / "Annotations" / "a.xml").write_text(f"<annotation>{kinds}</annotation>")
    found = cellda.datasets.load(
        "folder", rejection.written(fields, tmp_path / "boxes"), taxonomy=rejection.KEPT.build()
    )
    assert found.class_counts() == {"other": 2}
    assert found.read([0, 1], 32).shape == (2, 3, 32, 32)
    assert rejection.some(found, [0, 1]) == [0, 1]
