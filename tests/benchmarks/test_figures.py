"""The scripts of the paper's figures run from end to end on synthetic cells, and write what they say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from torch import Generator, Tensor

import cellda.datasets
from benchmarks.common.embeddings import embeddings
from benchmarks.common.sampling import balanced_sample
from benchmarks.common.source import source_run
from benchmarks.figures import (
    domain_shift,
    fine_tuning_embeddings,
    framing,
    sample_images,
    transform_embeddings,
    wrong_predictions,
)
from cellda import Recipe
from cellda.datasets.reading.cell_table import cell_names
from cellda.errors import ConfigurationError
from cellda.evaluation.wrong import confusions, second_chances
from cellda.experiment.run import Run
from cellda.experiment.stages import held_out_predictions, source_model
from cellda.experiment.workspace import Workspace
from cellda.framing.cell import find_nucleus
from cellda.imaging.augment import random_degrade, random_zoom
from cellda.models.classifier import CellClassifier
from cellda.normalizers import create
from cellda.runtime.storage.store import Store
from cellda.training.loop import Trainer
from tiny import CLASSES, recipe


def shown(figure: Figure, columns: int) -> list[Tensor]:
    """The images of a contact sheet, row by row, `(columns, 3, H, W)` in levels."""
    images = [torch.from_numpy(np.array(axes.images[0].get_array())) for axes in figure.axes if axes.images]
    return list(torch.stack(images).permute(0, 3, 1, 2).split(columns))


def levels(images: Tensor) -> Tensor:
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def titles(figure: Figure, columns: int) -> tuple[list[str], list[str]]:
    """Titles of the rows and of the columns of a contact sheet."""
    axes = figure.axes
    return [one.get_ylabel() for one in axes[::columns]], [one.get_title() for one in axes[:columns]]


# --- images


def test_framing_draws_and_counts_what_it_cuts(tmp_path):
    framing.main(["--datasets", "synthetic/0", "--cells", "12", "--out", str(tmp_path)])
    assert {file.name for file in tmp_path.iterdir()} == {"framing_synthetic_0.png", "framing.csv"}
    found = pd.read_csv(tmp_path / "framing.csv").iloc[0]
    assert found["cells"] == 12
    dataset = cellda.datasets.load("synthetic/0")
    rows = balanced_sample(list(dataset.table["label"]), 12, 0)
    missed = [row for row in rows if find_nucleus(framing.own_size(dataset, row)) is None]
    assert found["shown_whole"] == len(missed) <= 1
    assert 0 < found["nucleus_5th"] < found["nucleus_of_frame"] < found["nucleus_95th"] < 1


def test_the_three_figures_of_images_are_written(tmp_path):
    sample_images.main(["--datasets", "synthetic/0", "synthetic/4", "--out", str(tmp_path)])
    written = {file.name for file in tmp_path.iterdir()}
    assert written == {"samples.png", "normalization.png", "augmentation.png"}


def test_samples_are_a_cell_of_each_class_of_each_dataset():
    datasets = [cellda.datasets.load(f"synthetic/{variant}") for variant in (0, 4)]
    figure = sample_images.samples(datasets, seed=0)
    assert titles(figure, 6) == (["synthetic/0", "synthetic/4"], list(CLASSES))
    first = datasets[1].read([300], 160)  # its first lymphocyte
    assert torch.equal(shown(figure, 6)[1][3:4], first)


def test_the_transform_is_shown_on_the_same_cells():
    datasets = [cellda.datasets.load(f"synthetic/{variant}") for variant in (0, 4)]
    figure = sample_images.before_and_after(datasets, seed=0)
    rows, columns = titles(figure, 2)
    assert (rows, columns) == (["before", "after"], ["synthetic/0\nbasophil", "synthetic/4\neosinophil"])
    before, after = shown(figure, 2)
    assert torch.equal(after, levels(create("reinhard")(before.float() / 255)))


def test_augmentation_is_shown_step_by_step():
    dataset = cellda.datasets.load("synthetic/0")
    figure = sample_images.augmentation(dataset, seed=0)
    rows, columns = titles(figure, 6)
    cells = dataset.read(balanced_sample(list(dataset.table["label"]), 6, 0), 160)
    steps = sample_images.training_steps(cells.float() / 255, seed=0)
    assert (rows, columns) == (list(steps), list(CLASSES))
    for row, images in zip(shown(figure, 6), steps.values(), strict=True):
        assert torch.equal(row, levels(images))


def test_each_step_of_source_training_starts_from_the_one_before():
    cells = cellda.datasets.load("synthetic/0").read([0, 300], 160).float() / 255
    original, degraded, zoomed, transformed = sample_images.training_steps(cells, seed=0).values()
    assert torch.equal(original, cells)
    assert (original.diff(dim=3).abs().mean((1, 2, 3)) > degraded.diff(dim=3).abs().mean((1, 2, 3))).all()
    assert torch.equal(zoomed, random_zoom(degraded, after_degrading(cells)))
    assert not torch.equal(zoomed, degraded)
    assert torch.equal(transformed, create("reinhard")(zoomed))


def after_degrading(images: Tensor) -> Generator:
    """The generator of seed 0 in the state in which the first step leaves it."""
    generator = Generator().manual_seed(0)
    random_degrade(images, generator)
    return generator


def test_a_class_that_a_dataset_lacks_is_an_empty_place():
    dataset = cellda.datasets.load("synthetic/0", per_class=1)
    dataset.table = dataset.table[dataset.table["label"] == "basophil"]
    assert bool((sample_images.cell_of(dataset, "monocyte", 0) == 1).all())
    assert not bool((sample_images.cell_of(dataset, "basophil", 0) == 1).all())


def test_the_transform_brings_laboratories_nearer(tmp_path):
    names = ["synthetic/0", "synthetic/3", "synthetic/7"]
    maps, _ = domain_shift.compared([cellda.datasets.load(name) for name in names], cells=30, seed=0)
    for one in maps:
        assert one.points.shape == (90, 2)
        assert list(one.colours) == [name for name in names for _ in range(30)]
    domain_shift.main(["--datasets", *names, "--cells", "30", "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "domain_shift.csv").set_index("transform")
    assert table["cells"].tolist() == [90, 90]
    assert table["chance"].tolist() == pytest.approx([1 / 3] * 2, abs=1e-4)
    assert table.loc["before", "accuracy"] > 0.95 > table.loc["after", "accuracy"]
    assert table.loc["before", "silhouette"] > table.loc["after", "silhouette"]
    assert (tmp_path / "domain_shift.png").stat().st_size > 10_000


# --- embeddings


def test_embeddings_with_and_without_the_transform(options, folder, tmp_path):
    transform_embeddings.main([*options, "--targets", "synthetic/1", "synthetic/2", "--cells", "24"])
    table = pd.read_csv(tmp_path / "transform_embeddings.csv").set_index("trained")
    assert list(table.index) == ["without the transform", "with the transform"]
    assert table["chance"].tolist() == pytest.approx([1 / 3] * 2, abs=1e-4)
    assert {f"silhouette_{name}" for name in (*CLASSES, "mean")} < set(table.columns)
    assert (tmp_path / "transform_embeddings.png").exists()
    trained = [Path(file).parent for file in (folder / "store").glob("source/*/classifier.json")]
    normalizers = {CellClassifier.load(place).normalizer_spec.name for place in trained}
    assert normalizers >= {"identity", "reinhard"}


def test_no_cell_of_a_source_that_is_shown_was_trained_on(folder):
    chosen = Recipe.from_yaml(folder / "recipe.yaml").with_(adapter="none")
    case = source_run(chosen, Workspace(store=folder / "store"))
    trainer = Trainer("cpu")
    ((source, rows),) = transform_embeddings.shown(case, trainer, [], 12)
    held = set(held_out_predictions(source_model(case, trainer))["path"])
    assert set(cell_names(source.table, rows)) <= held
    assert len(rows) == 12
    assert source.table["label"].iloc[rows].value_counts().tolist() == [2] * 6


def test_a_recipe_without_a_transform_has_none_to_leave_out(options, folder):
    plain = folder / "plain.yaml"
    plain.write_text(recipe(normalizer="identity").to_yaml())
    with pytest.raises(ConfigurationError, match="'identity', so there is no transform"):
        transform_embeddings.main([*options, "--recipe", str(plain)])


def test_embeddings_before_and_after_fine_tuning(options, folder, tmp_path):
    fine_tuning_embeddings.main([*options, "--targets", "synthetic/1", "--cells", "40"])
    table = pd.read_csv(tmp_path / "fine_tuning.csv")
    assert table[["target", "stage", "cells"]].to_numpy().tolist() == [
        ["synthetic/1", "before", 40],
        ["synthetic/1", "after", 40],
    ]
    assert (tmp_path / "synthetic-1_fine_tuning.png").exists()


def test_the_model_before_fine_tuning_is_the_source_model(folder):
    chosen, store, trainer = Recipe.from_yaml(folder / "recipe.yaml"), Store(folder / "store"), Trainer("cpu")
    case = Run.prepare(chosen, "synthetic/1", Workspace(store=store))
    adapted = chosen.run("synthetic/1", store=store, progress=False).model
    before, after = fine_tuning_embeddings.models(case, adapted, trainer).values()
    source = CellClassifier.load(source_model(case, trainer))
    assert torch.equal(before.embedding.weight, source.embedding.weight)
    assert not torch.equal(after.embedding.weight, source.embedding.weight)
    rows = fine_tuning_embeddings.shown(case, 40)
    assert set(rows) <= set(case.draw.query)
    first, second = (embeddings(trainer, model, case.target, rows) for model in (before, after))
    assert not np.allclose(first, second)


def test_a_method_without_a_source_model_has_nothing_before_it(options, folder):
    scratch = folder / "scratch.yaml"
    scratch.write_text(recipe(adapter="from_scratch").to_yaml())
    with pytest.raises(ConfigurationError, match="'from_scratch' does not start from the source model"):
        fine_tuning_embeddings.main([*options, "--recipe", str(scratch), "--targets", "synthetic/1"])


def test_wrong_predictions_of_a_run(options, folder, tmp_path):
    wrong_predictions.main([*options, "--targets", "synthetic/1"])
    stem = "synthetic-1_wrong_"
    written = {file.name for file in tmp_path.iterdir()}
    pictures = {f"{stem}{name}.png" for name in ("map", "pairs", "regions", "probabilities")}
    assert written == pictures | {f"{stem}{name}.csv" for name in ("pairs", "regions", "second")}
    predictions = predicted(folder)
    pairs = pd.read_csv(tmp_path / f"{stem}pairs.csv")
    pd.testing.assert_frame_equal(pairs, confusions(predictions), check_dtype=False)
    second = pd.read_csv(tmp_path / f"{stem}second.csv")
    pd.testing.assert_frame_equal(second, second_chances(predictions), check_dtype=False, atol=1e-4)
    table = pd.read_csv(tmp_path / f"{stem}regions.csv")
    assert len(table) == 6
    assert table["cells"].sum() == len(predictions)
    assert table["wrong"].sum() == pairs["wrong"].sum()


def test_the_first_image_of_a_pair_is_the_wrong_cell_that_the_model_is_surest_of(folder):
    predictions, dataset = predicted(folder), cellda.datasets.load("synthetic/1")
    first = confusions(predictions).iloc[0]
    pair = (predictions["label"] == first["label"]) & (predictions["predicted"] == first["predicted"])
    sure = predictions[pair].loc[lambda part: part[f"p_{first['predicted']}"].idxmax(), "path"]
    position = cell_names(dataset.table, range(len(dataset))).index(sure)
    figure = wrong_predictions.sheet(dataset, wrong_predictions.by_pair(predictions), captioned=False)
    assert figure.axes[0].get_ylabel() == f"{first['label']}\n→ {first['predicted']}\n{first['wrong']} wrong"
    assert torch.equal(shown(figure, 1)[0], dataset.read([position], 128))


def predicted(folder: Path) -> pd.DataFrame:
    """Predictions of the shared recipe on `synthetic/1`."""
    chosen = Recipe.from_yaml(folder / "recipe.yaml")
    return chosen.run("synthetic/1", store=folder / "store", progress=False).predictions
