"""The scripts of the paper's figures run from end to end on drawn cells, and write what they say."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import cellda.datasets
from benchmarks.common.sampling import balanced_sample
from cellda.datasets.reading.cell_table import cell_names
from cellda.errors import ConfigurationError
from cellda.evaluation.metrics import measure
from cellda.evaluation.predictions import read_predictions
from cellda.evaluation.wrong import confusions, second_chances
from cellda.experiment.run import Run
from cellda.experiment.stages import held_out_predictions, source_model
from cellda.experiment.workspace import Workspace
from cellda.models.classifier import CellClassifier
from cellda.normalizers import create
from cellda.reporting import figures
from cellda.taxonomy import CLASSES
from cellda.training.loop import Trainer
from tiny import recipe

SCRIPTS = Path(__file__).parents[2] / "benchmarks"

if not SCRIPTS.is_dir():
    pytest.skip("these scripts come with a clone, not with the package", allow_module_level=True)


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Holds the store that scripts share, and the recipe: one drawn source with enough cells to hold some out."""
    place = tmp_path_factory.mktemp("paper")
    chosen = recipe(sources=[{"name": "synthetic/0", "options": {"per_class": 30}}])
    (place / "recipe.yaml").write_text(chosen.to_yaml())
    return place


@pytest.fixture
def options(folder, tmp_path) -> list[str]:
    return ["--recipe", str(folder / "recipe.yaml"), "--store", str(folder / "store"), "--out", str(tmp_path)]


@pytest.fixture
def sheets(monkeypatch, script) -> list[tuple]:
    """The contact sheets that are drawn: rows of images, row titles, column titles."""
    seen = []

    def watched(rows, titles, *given, **named):
        seen.append((rows, list(titles), *map(list, given[:1])))
        return figures.contact_sheet(rows, titles, *given, **named)

    for name in ("sample_images", "wrong_predictions"):
        monkeypatch.setattr(script(name), "contact_sheet", watched)
    return seen


# --- images


def test_framing_draws_and_counts_what_it_cuts(script, tmp_path):
    module = script("framing")
    module.main(["--datasets", "synthetic/0", "--cells", "12", "--out", str(tmp_path)])
    assert {file.name for file in tmp_path.iterdir()} == {"framing_synthetic_0.png", "framing.csv"}
    found = pd.read_csv(tmp_path / "framing.csv").iloc[0]
    assert found["cells"] == 12
    dataset = cellda.datasets.load("synthetic/0")
    rows = balanced_sample(list(dataset.table["label"]), 12, 0)
    missed = [row for row in rows if module.find_nucleus(module.own_size(dataset, row)) is None]
    assert found["shown_whole"] == len(missed) <= 1
    assert 0 < found["nucleus_5th"] < found["nucleus_of_frame"] < found["nucleus_95th"] < 1


def test_samples_transform_and_augmentation(script, sheets, tmp_path):
    script("sample_images").main(["--datasets", "synthetic/0", "synthetic/4", "--out", str(tmp_path)])
    assert {file.name for file in tmp_path.iterdir()} == {
        "samples.png",
        "normalization.png",
        "augmentation.png",
    }
    samples, transform, augmentation = sheets
    assert samples[1:] == (["synthetic/0", "synthetic/4"], list(CLASSES))
    first = cellda.datasets.load("synthetic/4").read([300], 160).float() / 255  # its first lymphocyte
    assert torch.equal(samples[0][1][3:4], first)
    before, after = transform[0]
    assert transform[2] == ["synthetic/0\nbasophil", "synthetic/4\neosinophil"]
    assert torch.equal(after, create("reinhard")(before))
    original, degraded, zoomed, transformed = augmentation[0]
    assert augmentation[2] == list(CLASSES)
    assert (original.diff(dim=3).abs().mean((1, 2, 3)) > degraded.diff(dim=3).abs().mean((1, 2, 3))).all()
    assert not torch.allclose(degraded, zoomed)
    assert torch.equal(transformed, create("reinhard")(zoomed))


def test_a_class_that_a_dataset_lacks_is_an_empty_place(script, tmp_path):
    (tmp_path / "folder" / "NEU").mkdir(parents=True)
    dataset = cellda.datasets.load("synthetic/0", per_class=1)
    dataset.table = dataset.table[dataset.table["label"] == "basophil"]
    sample_images = script("sample_images")
    assert bool((sample_images.cell_of(dataset, "monocyte", 0) == 1).all())
    assert not bool((sample_images.cell_of(dataset, "basophil", 0) == 1).all())


def test_laboratories_come_nearer_by_the_transform(script, tmp_path, monkeypatch):
    module, shown = script("domain_shift"), []
    draw = module.cell_maps
    monkeypatch.setattr(module, "cell_maps", lambda maps, *given: shown.extend(maps) or draw(maps, *given))
    module.main(
        ["--datasets", "synthetic/0", "synthetic/3", "synthetic/7", "--cells", "30", "--out", str(tmp_path)]
    )
    table = pd.read_csv(tmp_path / "domain_shift.csv").set_index("transform")
    assert table["cells"].tolist() == [90, 90]
    assert table["chance"].tolist() == pytest.approx([1 / 3] * 2, abs=1e-4)
    assert table.loc["before", "accuracy"] > 0.95 > table.loc["after", "accuracy"]
    assert table.loc["before", "silhouette"] > table.loc["after", "silhouette"]
    assert (tmp_path / "domain_shift.png").stat().st_size > 10_000
    for one in shown:
        assert one.points.shape == (90, 2)
        assert list(one.colours) == ["synthetic/0"] * 30 + ["synthetic/3"] * 30 + ["synthetic/7"] * 30


def test_a_slide_that_goes_with_a_class_is_a_shortcut_that_the_transform_takes_away(
    script, tmp_path, monkeypatch
):
    """Cells of two classes from two slides of different light: the frame alone tells them until colours are normalised."""
    module = script("colour_shortcuts")
    dataset = cellda.datasets.load("synthetic/1", per_class=20)
    dataset.table = dataset.table[dataset.table["label"].isin(["monocyte", "neutrophil"])].reset_index(
        drop=True
    )
    lit = torch.where(dataset.labels == 4, 0.6, 1.0).view(-1, 1, 1, 1)
    read = type(dataset).read
    monkeypatch.setattr(
        type(dataset),
        "read",
        lambda self, rows, size: (read(self, rows, size) * lit[list(rows)]).to(torch.uint8),
    )
    monkeypatch.setattr(module, "datasets_of", lambda *given: [dataset])
    module.main(["--draws", "0", "1", "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "colour_shortcuts.csv")
    assert set(table["chance"]) == {0.5}
    frame = table[table["region"] == "frame"].groupby("transform")["balanced_accuracy"].mean()
    assert frame["identity"] > 0.95 > 0.8 > frame["reinhard"]


def test_copies_of_a_photograph_are_compared_class_by_class(script):
    # Of class a, one sibling of two is right, both others are; of class b, the sibling is right, two of four others are.
    rows = [("a", "p", 1), ("a", "p", 0), ("a", "q", 1), ("a", "r", 1), ("b", "p", 1)]
    rows += [("b", "q", 1), ("b", "q", 0), ("b", "r", 1), ("b", "r", 0)]
    table = pd.DataFrame(rows, columns=["label", "group", "right"])
    table["predicted"] = table["label"].where(table["right"] == 1, "other")
    found = script("bccd_leak").compared(table, {"p"})
    assert found == pytest.approx({"siblings_share": 3 / 9, "siblings": 0.75, "others": 0.75})
    assert found["siblings"] != pytest.approx(2 / 3)  # as it would be cell by cell


# --- embeddings


def test_embeddings_with_and_without_the_transform(script, options, folder, tmp_path):
    module = script("transform_embeddings")
    module.main([*options, "--targets", "synthetic/1", "synthetic/2", "--cells", "24"])
    table = pd.read_csv(tmp_path / "transform_embeddings.csv").set_index("trained")
    assert list(table.index) == ["without the transform", "with the transform"]
    assert table["chance"].tolist() == pytest.approx([1 / 3] * 2, abs=1e-4)
    assert {f"silhouette_{name}" for name in (*CLASSES, "mean")} < set(table.columns)
    assert (tmp_path / "transform_embeddings.png").exists()
    trained = [Path(file).parent for file in (folder / "store").glob("source/*/classifier.json")]
    normalizers = {CellClassifier.load(place).normalizer_spec.name for place in trained}
    assert normalizers >= {"identity", "reinhard"}


def test_shown_cells_of_a_source_were_not_trained_on(script, folder):
    chosen = recipe(sources=[{"name": "synthetic/0", "options": {"per_class": 30}}], adapter="none")
    case = script("choice").source_run(chosen, Workspace(store=folder / "store"))
    trainer = Trainer("cpu")
    ((source, rows),) = script("transform_embeddings").shown(case, trainer, [], 12)
    held = set(held_out_predictions(source_model(case, trainer))["path"])
    assert set(cell_names(source.table, rows)) <= held
    assert len(rows) == 12
    assert source.table["label"].iloc[rows].value_counts().tolist() == [2] * 6


def test_a_recipe_without_a_transform_has_none_to_leave_out(script, options, folder):
    plain = folder / "plain.yaml"
    plain.write_text(recipe(normalizer="identity").to_yaml())
    with pytest.raises(ConfigurationError, match="'identity', so there is no transform"):
        script("transform_embeddings").main([*options, "--recipe", str(plain)])


def test_embeddings_before_and_after_fine_tuning(script, options, folder, tmp_path, monkeypatch):
    module, shown = script("fine_tuning_embeddings"), []
    embed = module.embeddings

    def watched(trainer, model, dataset, rows):
        found = embed(trainer, model, dataset, rows)
        shown.append((model, rows, found))
        return found

    monkeypatch.setattr(module, "embeddings", watched)
    module.main([*options, "--targets", "synthetic/1", "--cells", "40"])
    table = pd.read_csv(tmp_path / "fine_tuning.csv")
    assert table[["target", "stage", "cells"]].to_numpy().tolist() == [
        ["synthetic/1", "before", 40],
        ["synthetic/1", "after", 40],
    ]
    assert (tmp_path / "synthetic-1_fine_tuning.png").exists()
    (before, rows, vectors), (after, same, others) = shown
    assert rows == same
    assert not np.allclose(vectors, others)
    chosen = recipe(sources=[{"name": "synthetic/0", "options": {"per_class": 30}}])
    case = Run.prepare(chosen, "synthetic/1", Workspace(store=folder / "store"))
    assert set(rows) <= set(case.draw.query)
    source = CellClassifier.load(source_model(case, Trainer("cpu")))
    assert torch.equal(before.embedding.weight, source.embedding.weight)
    assert not torch.equal(after.embedding.weight, source.embedding.weight)


def test_a_method_without_a_source_model_has_nothing_before_it(script, options, folder):
    scratch = folder / "scratch.yaml"
    scratch.write_text(recipe(adapter="from_scratch").to_yaml())
    with pytest.raises(ConfigurationError, match="'from_scratch' does not start from the source model"):
        script("fine_tuning_embeddings").main(
            [*options, "--recipe", str(scratch), "--targets", "synthetic/1"]
        )


def test_wrong_predictions_of_a_run(script, options, folder, sheets, tmp_path):
    script("wrong_predictions").main([*options, "--targets", "synthetic/1"])
    stem = "synthetic-1_wrong_"
    written = {file.name for file in tmp_path.iterdir()}
    pictures = {f"{stem}{name}.png" for name in ("map", "pairs", "regions", "probabilities")}
    assert written == pictures | {f"{stem}{name}.csv" for name in ("pairs", "regions", "second")}
    (run,) = (p for p in (folder / "store" / "runs").glob("*/predictions.parquet"))
    predictions = read_predictions(run)
    pairs = pd.read_csv(tmp_path / f"{stem}pairs.csv")
    pd.testing.assert_frame_equal(pairs, confusions(predictions), check_dtype=False)
    second = pd.read_csv(tmp_path / f"{stem}second.csv")
    pd.testing.assert_frame_equal(second, second_chances(predictions), check_dtype=False, atol=1e-4)
    table = pd.read_csv(tmp_path / f"{stem}regions.csv")
    assert len(table) == 6
    assert table["cells"].sum() == len(predictions)
    assert table["wrong"].sum() == pairs["wrong"].sum()

    rows, titles = sheets[0][:2]
    first = pairs.iloc[0]
    assert titles[0] == f"{first['label']}\n→ {first['predicted']}\n{first['wrong']} wrong"
    # The first image is the wrong cell of this pair that the model is surest of.
    part = predictions[
        (predictions["label"] == first["label"]) & (predictions["predicted"] == first["predicted"])
    ]
    sure = part.loc[part[f"p_{first['predicted']}"].idxmax(), "path"]
    dataset = cellda.datasets.load("synthetic/1")
    position = cell_names(dataset.table, range(len(dataset))).index(sure)
    assert torch.equal(rows[0][:1], dataset.read([position], 128))


# --- source accuracy and backbones


def test_source_accuracy_comes_from_held_out_predictions(script, options, tmp_path, capsys):
    script("source_accuracy").main(options)
    predictions = read_predictions(tmp_path / "source_accuracy.parquet")
    assert len(predictions) == 36  # a fifth of 180
    measures = measure(predictions, resamples=10)
    table = pd.read_csv(tmp_path / "source_accuracy.csv").iloc[0]
    for name in ("accuracy", "macro_precision", "macro_recall"):
        assert table[name] == pytest.approx(getattr(measures, name).value, abs=1e-4)
    assert f"{measures.accuracy.value:.2f} [" in (tmp_path / "source_accuracy.md").read_text()
    assert "synthetic/0" in capsys.readouterr().out


def test_published_source_accuracy_stands_beside_ours(script, options, tmp_path, monkeypatch):
    module = script("source_accuracy")
    read = module.held_out_predictions
    monkeypatch.setattr(
        module, "held_out_predictions", lambda folder: read(folder).assign(target="munich_2019")
    )
    module.main(options)
    rows = [
        [cell.strip() for cell in line.split("|")]
        for line in (tmp_path / "source_accuracy.md").read_text().splitlines()
        if "| munich 2019 |" in line
    ]
    assert [(row[2], row[4]) for row in rows] == [
        ("accuracy", "0.88"),
        ("macro precision", "0.76"),
        ("macro recall", "0.77"),
    ]
    assert all(float(row[5]) == pytest.approx(float(row[3]) - float(row[4]), abs=6e-4) for row in rows)


def test_backbones_are_compared(script, options, tmp_path, monkeypatch, capsys):
    module = script("backbones")
    build = module.build_encoder

    def without_hub(backbone):
        if backbone.name == "test_resnet":
            raise ConfigurationError("The weights of 'test_resnet' could not be had through timm (no hub).")
        return build(backbone)

    monkeypatch.setattr(module, "build_encoder", without_hub)
    names = ["test_efficientnet", "test_resnet", "test_vit"]
    given = [
        "--weights",
        "none",
        "--image-size",
        "32",
        "--targets",
        "synthetic/1",
        "--cells",
        "8",
        "--draws",
        "0",
        "1",
    ]
    module.main([*options, "--backbones", *names, *given])
    table = pd.read_csv(tmp_path / "backbones.csv").set_index("backbone")
    assert list(table.index) == ["test_efficientnet", "test_vit"]
    predictions = read_predictions(tmp_path / "backbones.parquet")
    assert set(predictions["condition"]) == set(table.index)
    assert len(predictions) == 2 * 2 * (6 * 8 - 18)  # backbones, draws, cells that are not drawn
    held_out = read_predictions(tmp_path / "backbones_source.parquet")
    for name, row in table.iterrows():
        part = predictions[predictions["condition"] == name]
        accuracy = (part["label"] == part["predicted"]).groupby(part["draw"]).mean().mean()
        assert row["synthetic/1"] == row["mean"] == pytest.approx(accuracy, abs=1e-4)
        own = held_out[held_out["condition"] == name]
        assert row["source_synthetic/0"] == pytest.approx((own["label"] == own["predicted"]).mean(), abs=1e-4)
        assert row["image_size"] == 32
    said = (tmp_path / "backbones.md").read_text()
    assert "- Left out: The weights of 'test_resnet' could not be had through timm (no hub)." in said
    assert "Left out: The weights of 'test_resnet'" in capsys.readouterr().err


def test_each_backbone_gets_its_own_image_size(script, options):
    module = script("backbones")
    arguments = module.with_recipe(module.arguments(None))
    given = arguments.parse_args(options)
    given.backbones, given.weights, given.image_size = ["test_vit", "test_efficientnet"], "none", None
    recipes, left_out = module.variants(given)
    assert {name: one.backbone.image_size for name, one in recipes.items()} == {
        "test_vit": 160,
        "test_efficientnet": 160,
    }
    assert all(one.search is None for one in recipes.values())
    assert left_out == []
    assert [module.native_size(name) for name in module.PAPER] == [224, 224, 224, 224, 299]


def test_no_backbone_left_is_a_sentence_and_a_status(script, options, capsys):
    module = script("backbones")
    given = [*options, "--backbones", "test_vit", "--weights", "nowhere.safetensors"]
    with pytest.raises(SystemExit) as ended:
        script("choice").command(lambda: module.main(given))
    assert ended.value.code == 2
    assert "No backbone is left to compare" in capsys.readouterr().err


def test_few_cells_of_a_real_dataset(script, tmp_path):
    from PIL import Image

    for name, number in (("NEU", 9), ("LYT", 2)):
        (tmp_path / "folder" / name).mkdir(parents=True)
        for i in range(number):
            Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "folder" / name / f"{i}.png")
    root = script("backbones").FewCells(tmp_path, 4)
    dataset = root.load("folder")
    assert dataset.class_counts() == {"lymphocyte": 2, "neutrophil": 4}
    again = script("backbones").FewCells(tmp_path, 4).load("folder")
    assert dataset.table.equals(again.table)
    assert (
        dataset.fingerprint
        == again.fingerprint
        != cellda.datasets.load("folder", tmp_path / "folder").fingerprint
    )
    assert root.load("folder").table.equals(again.table)
    assert len(root.load("synthetic/1")) == 24


# --- what is shown where nothing is said


def test_datasets_are_those_that_are_there(script, tmp_path):
    choice = script("choice")
    assert [one.full_name for one in choice.datasets_of(None, without=["synthetic/3"])] == [
        name for name in choice.DRAWN if name != "synthetic/3"
    ]
    with pytest.raises(ConfigurationError, match=r"no dataset in .*barcelona"):
        choice.datasets_of(tmp_path)
    with pytest.raises(ConfigurationError, match="no folder 'raabin'"):
        choice.datasets_of(tmp_path, ["raabin"])


def test_what_shows_the_cells_of_a_source_is_no_target(script, tmp_path):
    for name in ("barcelona", "bloodmnist", "raabin"):
        (tmp_path / name).mkdir()
    names_of = script("choice").names_of
    assert names_of(tmp_path) == ["barcelona", "bloodmnist", "raabin"]
    assert (
        names_of(tmp_path, without=["barcelona"])
        == names_of(tmp_path, without=["bloodmnist/64"])
        == ["raabin"]
    )
    with pytest.raises(ConfigurationError, match="besides barcelona, raabin: it needs"):
        names_of(tmp_path, without=["barcelona", "raabin", "munich_2019"])
    with pytest.raises(ConfigurationError, match=r"There is no folder .*nowhere; --data"):
        names_of(tmp_path / "nowhere", without=["barcelona"])


@pytest.mark.real
def test_datasets_of_a_real_folder(script, data_root):
    found = [one.name for one in script("choice").datasets_of(data_root, without=["barcelona"])]
    assert "barcelona" not in found
    assert {"raabin", "bccd", "jiangxi_tecom", "jin_woo_choi", "munich_2019"} <= set(found)
