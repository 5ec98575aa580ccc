"""Source models on the command line: listed, run, adapted and predicted with by name, with neither data nor sources."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from cellda import CellClassifier, source_models
from source_models.installed import NAME, installed
from tiny import target
from trees import picture

QUICK = ("--set", "adapter.full.epochs=1", "--set", "adapter.full.min_steps=0", "--set", "device=cpu")


@pytest.fixture(scope="module", autouse=True)
def ward(tmp_path_factory) -> Iterator[Path]:
    with installed(tmp_path_factory.mktemp("site")) as folder:
        yield folder


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> Path:
    """Labelled cells in a folder."""
    root = tmp_path_factory.mktemp("cells")
    for number in range(24):
        label = ("monocyte", "lymphocyte", "neutrophil")[number % 3]
        picture(root / label / f"{number}.png", seed=number, size=(40, 40))
    return root


@pytest.fixture
def pooled(monkeypatch) -> None:
    """The model of the tests in the place of the one that ships."""
    monkeypatch.setattr(source_models, "DEFAULT", NAME)


def test_models_are_listed(cellda_):
    said = cellda_("list", "models")
    assert said.status == 0
    assert NAME in said.out
    assert "Untrained, for tests." in said.out
    assert NAME in cellda_("list").out
    assert f"model {NAME}" in cellda_("doctor").out


def test_what_cannot_be_is_refused_before_anything_is_chosen(cellda_, pooled, tmp_path: Path):
    nothing = cellda_("adapt", "--save", tmp_path / "m")
    assert nothing.status == 2
    assert "nothing to adapt to: give labelled cells (--labelled)" in nothing.err
    both = cellda_("run", "--target", "synthetic/1", "--model", NAME, "--source", "synthetic/0")
    assert both.status == 2
    assert f"--source (synthetic/0) and --model ('{NAME}') are both given; give one of them" in both.err
    for said in (nothing, both):
        assert "is used" not in said.err
        assert "adapted by" not in said.err


def test_own_cells_alone_make_a_model(cellda_, pooled, cells: Path, tmp_path: Path):
    said = cellda_("adapt", "--labelled", f"folder={cells}", "--save", tmp_path / "m", *QUICK)
    assert said.status == 0, said.err
    assert (
        f"No sources are named: the trained source model '{NAME}' is used (Untrained, for tests.)" in said.err
    )
    assert "adapted by full+second_view+tta, as in the preset best;" in said.err
    recipe = yaml.safe_load((tmp_path / "m" / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["sources"] == []
    assert recipe["source_model"]["name"] == NAME
    assert recipe["search"] is None
    assert isinstance(CellClassifier.load(tmp_path / "m"), CellClassifier)


def test_own_cells_and_images_are_adapted_to_as_in_the_preset(cellda_, pooled, cells: Path, tmp_path: Path):
    own = ("--labelled", f"folder={cells}", "--unlabelled", cells / "monocyte")
    said = cellda_("adapt", *own, "--save", tmp_path / "m", *QUICK)
    assert said.status == 0, said.err
    assert "adapted by full+second_view+tta, as in the preset best;" in said.err


def test_own_images_without_labels_make_a_model(cellda_, pooled, cells: Path, tmp_path: Path):
    said = cellda_("adapt", "--unlabelled", cells, "--save", tmp_path / "m", "--set", "device=cpu")
    assert said.status == 0, said.err
    assert "adapted by lame+tta, as in the preset best_without_labels" in said.err


@pytest.mark.parametrize(
    "words",
    [("--source", "raabin"), ("--set", "sources=[raabin]"), ("--data", ".")],
    ids=lambda words: words[0],
)
def test_who_names_sources_or_data_gets_no_other_model(cellda_, pooled, cells: Path, tmp_path: Path, words):
    said = cellda_("adapt", "--labelled", f"folder={cells}", "--save", tmp_path / "m", *words)
    assert said.status == 2
    assert "No sources are named" not in said.err
    assert "dataset 'raabin'" in said.err.lower() or "dataset 'barcelona'" in said.err.lower()


def test_without_any_model_adapt_asks_for_the_data_of_the_sources(
    cellda_, monkeypatch, cells, tmp_path: Path
):
    monkeypatch.setattr(source_models.registry, "_folders", {})
    said = cellda_("adapt", "--labelled", f"folder={cells}", "--save", tmp_path / "m")
    assert said.status == 2
    text = " ".join(said.err.split())
    assert "'barcelona' is read from a folder: say where with data=" in text
    assert "source model" not in text
    assert "none is installed" in cellda_("list", "models").out
    assert "none is installed" in cellda_("doctor").out


def test_a_run_takes_a_model_and_measures_it(cellda_, tmp_path: Path):
    save = tmp_path / "run"
    words = ("--target", "synthetic/1", "--model", NAME, "--n", 12, "--save", save)
    said = cellda_("run", *words, *QUICK)
    assert said.status == 0, said.err
    assert "12 target labels used" in " ".join(said.out.split())
    assert "as in the preset best" in said.err
    assert set(pd.read_parquet(save / "predictions.parquet")["adapter"]) == {"full+second_view+tta"}
    again = cellda_("run", *words, "--adapter", "ncm", "--set", "device=cpu", "--save", tmp_path / "ncm")
    assert again.status == 0, again.err
    assert "preset best" not in again.err


def test_a_model_predicts_by_name_as_by_its_folder(cellda_, ward: Path, cells: Path, tmp_path: Path):
    for model, save in ((NAME, "a.csv"), (ward, "b.csv")):
        said = cellda_("predict", model, cells, "--save", tmp_path / save)
        assert said.status == 0, said.err
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a.csv"), pd.read_csv(tmp_path / "b.csv"))


def test_where_the_papers_sources_are_missing_models_are_offered(cellda_, tmp_path: Path):
    said = cellda_("run", "--target", "synthetic/1", "--data", tmp_path)
    assert said.status == 2
    offer = f"Or start from a trained source model, which needs no source images: source_model= or --model ({NAME}"
    shown = " ".join(said.err.split())
    assert "no folder 'barcelona'" in shown
    assert offer.partition(f"({NAME}")[0] in shown
    assert NAME in shown
    named = cellda_("run", "--target", "synthetic/1", "--data", tmp_path, "--source", "barcelona")
    assert "trained source model" not in named.err


def test_a_contradiction_and_both_at_once_are_refused(cellda_, tmp_path: Path):
    said = cellda_("run", "--target", "synthetic/1", "--model", NAME, "--framing", "cell")
    assert said.status == 2
    assert "framing.name is 'cell', but the source model 'ward' has 'none'" in " ".join(said.err.split())
    said = cellda_("run", "--target", "synthetic/1", "--model", NAME, "--source", "raabin")
    assert "are both given; give one of them" in " ".join(said.err.split())


@pytest.mark.filterwarnings("default")
def test_a_target_that_the_model_has_seen_is_warned_of(cellda_, tmp_path: Path):
    words = ("--model", NAME, "--adapter", "none", "--set", "device=cpu")
    said = cellda_("run", "--target", "synthetic/0", *words)
    assert said.status == 0, said.err
    assert "warning: The source model 'ward' was trained on cells (synthetic/0) of the target" in said.err
    assert target(0).full_name == "synthetic/0"
