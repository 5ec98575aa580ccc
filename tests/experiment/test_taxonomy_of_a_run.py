"""What a recipe's taxonomy decides: draws, models, measures and predictions; own classes; sums of finer classes."""

import re
import shutil
import warnings
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from rich.console import Console

import cellda.datasets
from cellda import CellClassifier, Recipe
from cellda.data.check import check
from cellda.datasets.base import CellDataset, cell_table
from cellda.errors import ConfigurationError, DataError, UnknownNameError
from cellda.evaluation.predictions import classes_of, read_predictions
from cellda.experiment.checks import trained_classes
from cellda.experiment.run import Run
from cellda.experiment.study import Study
from cellda.models import Backbone
from cellda.normalizers.spec import NormalizerSpec
from cellda.taxonomies import create
from tiny import SIDE, prepared, quiet, recipe, target

pytestmark = pytest.mark.filterwarnings(
    "ignore:No cell that the model learns from"
)  # `stages` has no basophils

STAGES = (
    "band",
    "seg",
    "NEU",
    "promyelocyte",
    "MYB",
    "MMZ",
    "IG",
    "blast",
    "LYT",
    "MON",
    "EOS",
    "EBO",
    "PLA",
)


@pytest.fixture
def stages():
    """A registered source of rendered cells that are labelled with stages, some more coarsely than others."""
    with cellda.datasets.registry.scratch():

        @cellda.datasets.register("stages")
        class Stages(cellda.datasets.get("synthetic")):
            """Rendered cells under the names of stages, for tests."""

            def _index(self) -> pd.DataFrame:
                paths = list(super()._index()["path"])
                return cell_table(paths, [STAGES[number % len(STAGES)] for number in range(len(paths))])

            @property
            def full_name(self) -> str:
                return "stages"

        yield {"name": "stages", "options": {"variant": "0", "per_class": 26}}


def ran(made: Recipe, aim: CellDataset | str, folder: Path):
    return made.run(aim, store=folder, progress=False)


def test_a_run_draws_trains_and_measures_in_the_classes_of_its_taxonomy(tmp_path) -> None:
    result = ran(recipe(taxonomy="wbc5"), "synthetic/1", tmp_path)
    classes = create("wbc5").classes
    assert classes_of(result.predictions) == classes
    assert set(result.predictions["label"]) == set(classes)
    assert set(result.metrics.per_class) == set(classes)
    assert result.model.classes == classes
    record = result.record
    assert record.recipe["taxonomy"] == {"name": "wbc5", "other": False}
    assert not any("erythroblast" in file for file in record.support_files)
    assert len(record.support_files) == 5 * (18 // 5)
    assert classes_of(read_predictions(result.path / "predictions.parquet")) == classes


def test_a_taxonomy_is_part_of_every_key_that_it_changes(tmp_path) -> None:
    six, five = (prepared(recipe(taxonomy=name), tmp_path, aim=None) for name in ("paper6", "wbc5"))
    five = Run.prepare(recipe(taxonomy="wbc5"), "synthetic/1", quiet(tmp_path))
    six = Run.prepare(recipe(), "synthetic/1", quiet(tmp_path))
    assert six.digest != five.digest
    assert six.source_key != five.source_key


def test_other_cells_are_a_class_where_the_taxonomy_keeps_them(stages, tmp_path) -> None:
    dataset = cellda.datasets.load("stages", taxonomy=create("wbc8", other=True), **stages["options"])
    assert dataset.class_counts()["other"] == 12  # blasts
    plain = cellda.datasets.load("stages", taxonomy="wbc8", **stages["options"])
    assert len(plain) == len(dataset) - 12
    result = ran(
        recipe(
            sources=[stages],
            taxonomy={"name": "wbc8", "other": True},
            few_shot={"n": 16},
        ),
        "synthetic/1",
        tmp_path,
    )
    assert classes_of(result.predictions)[-1] == "other"


def test_finer_labels_of_sources_teach_and_the_model_answers_in_the_recipes_classes(stages, tmp_path) -> None:
    made = recipe(sources=[stages], training={"taxonomy": "wbc13"}, adapter="none")
    run = Run.prepare(made, "synthetic/1", quiet(tmp_path))
    [source] = run.sources
    assert trained_classes(run.recipe) == create("wbc13").classes
    assert {"neutrophil", "immature granulocyte"} < set(source.table["label"])  # coarse, and kept
    assert int(source.labels.max()) == 14
    assert source.account.used == len(source)
    assert not any("coarsely" in line for line in source.account.lines())  # they are used
    result = ran(made, "synthetic/1", tmp_path)
    assert classes_of(result.predictions) == create("paper6").classes
    model = result.model
    assert model.head.name == "summed"
    fine = model.head.inner
    raw = target().read(range(5), SIDE)
    with torch.no_grad():
        q = fine(model.embed(model.normalized(raw))).softmax(1)
    wanted = torch.stack([q[:, list(own)].sum(1) for own in model.head.parts], 1)
    wanted = wanted / wanted.sum(1, keepdim=True)
    torch.testing.assert_close(model.probabilities(raw), wanted, rtol=1e-4, atol=1e-6)
    kept = CellClassifier.load(model.save(tmp_path / "m"))
    torch.testing.assert_close(kept.probabilities(raw), model.probabilities(raw))


@pytest.mark.parametrize("adapter", ["full", "mixed_source", "coral", "lame", "calibrated_prior"])
def test_methods_work_between_fine_sources_and_coarse_targets(stages, tmp_path, adapter) -> None:
    few = {"source_images": 24} if adapter in {"mixed_source", "coral"} else {}
    made = recipe(sources=[stages], training={"taxonomy": "wbc13"}, adapter={"name": adapter, **few})
    result = ran(made, "synthetic/1", tmp_path)
    assert classes_of(result.predictions) == create("paper6").classes


def own_folder(folder: Path, *names: str, each: int = 9) -> Path:
    images = target().read(range(each), 48).permute(0, 2, 3, 1).numpy()
    for shade, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(images):
            darker = (image * (1 - 0.2 * shade)).astype(np.uint8)
            darker[0, 0] = shade  # no two files are the same
            Image.fromarray(darker).save(folder / name / f"{number}.png")
    return folder


def test_own_classes_are_those_of_the_folders(tmp_path) -> None:
    folder = own_folder(tmp_path / "cells", "Blob", "weird", "neutrophil")
    made = recipe(taxonomy="own", few_shot={"n": 9})
    result = ran(made, f"folder={folder}", tmp_path / "store")
    assert classes_of(result.predictions) == ("Blob", "neutrophil", "weird")
    assert result.model.classes == ("Blob", "neutrophil", "weird")
    with pytest.raises(DataError, match="'Blob' is not a known cell type"):
        ran(recipe(few_shot={"n": 9}), f"folder={folder}", tmp_path / "store")


@pytest.mark.parametrize("adapter", ["none", "lame", "tent", "tta", "tip_cache", "coral", "norm_only"])
def test_methods_that_need_the_sources_head_refuse_own_classes(tmp_path, adapter) -> None:
    folder = own_folder(tmp_path / "cells", "Blob", "weird")
    with pytest.raises(ConfigurationError, match="only its encoder and embedding can be used") as error:
        Run.prepare(
            recipe(taxonomy="own", few_shot={"n": 8}, adapter=adapter), f"folder={folder}", quiet(tmp_path)
        )
    assert "Blob, weird" in str(error.value)
    assert f"'{adapter}' needs its head" in str(error.value)


@pytest.mark.parametrize(
    "adapter", ["full", "head_only", "ncm", "logistic", "tta+ncm", "full+lame", "from_scratch"]
)
def test_methods_that_learn_a_head_take_own_classes(tmp_path, adapter) -> None:
    folder = own_folder(tmp_path / "cells", "Blob", "weird")
    made = recipe(taxonomy="own", few_shot={"n": 8}, adapter=adapter)
    assert Run.prepare(made, f"folder={folder}", quiet(tmp_path)).offer.classes == ("Blob", "weird")


def test_classes_that_nothing_is_learned_of_are_named_before_any_work(stages, tmp_path) -> None:
    made = recipe(sources=[stages], taxonomy="wbc13", adapter="none")
    with pytest.warns(UserWarning, match="No cell that") as said:
        Run.prepare(made, "synthetic/1", quiet(tmp_path))
    [line] = [str(one.message) for one in said if "No cell" in str(one.message)]
    assert line == (
        "No cell that the model learns from, of the sources or labelled, is of the classes basophil, atypical lymphocyte, "
        "plasma cell: it cannot know them"
    )
    alone = recipe(adapter="from_scratch", normalizer="identity", target_normalizer=None, few_shot={"n": 5})
    folder = own_folder(tmp_path / "cells", *create("wbc5").classes)
    with pytest.warns(UserWarning, match="is of the class erythroblast: it cannot know it"):
        Run.prepare(alone, f"folder={folder}", quiet(tmp_path))


def test_sources_that_only_fit_a_normalizer_teach_no_class(tmp_path) -> None:
    folder = own_folder(tmp_path / "cells", *create("wbc5").classes)
    made = recipe(
        adapter="from_scratch", normalizer={"name": "reinhard", "reference": "source"}, few_shot={"n": 5}
    )
    with pytest.warns(UserWarning, match="is of the class erythroblast: it cannot know it"):
        Run.prepare(made, f"folder={folder}", quiet(tmp_path))


def test_a_study_says_it_once(stages, tmp_path) -> None:
    made = {name: recipe(sources=[stages], adapter=name) for name in ("none", "tta")}
    with pytest.warns(UserWarning, match="No cell that") as said:
        Study(made, ["synthetic/1"], range(3), workspace=quiet(tmp_path)).runs()
    assert sum("No cell that" in str(one.message) for one in said) == 1


def test_copies_of_a_coarse_and_a_fine_label_do_not_contradict_each_other(tmp_path) -> None:
    folder = own_folder(tmp_path / "cells", "neutrophil", "band", "monocyte", each=3)
    shutil.copy(folder / "band" / "0.png", folder / "neutrophil" / "twin.png")
    fine = cellda.datasets.load("folder", folder, taxonomy="wbc13")
    assert fine.contradictions == fine.with_coarse.contradictions == []
    shutil.copy(folder / "monocyte" / "0.png", folder / "neutrophil" / "other.png")
    fine = cellda.datasets.load("folder", folder, taxonomy="wbc13")
    assert [set(one.cells.values()) for one in fine.contradictions] == [{"monocyte", "neutrophil"}]
    assert [set(one.cells.values()) for one in fine.with_coarse.contradictions] == [
        {"monocyte", "neutrophil"}
    ]


def test_a_mapping_that_changes_is_noticed(tmp_path) -> None:
    folder = own_folder(tmp_path / "cells", "Blob", "neutrophil", each=3)
    file = tmp_path / "labels.yaml"
    file.write_text("Blob: monocyte\n")
    dataset = cellda.datasets.load("folder", folder, map=file)
    assert not dataset.relisted()
    file.write_text("Blob: basophil\n")
    assert dataset.relisted()
    file.unlink()
    assert dataset.relisted()


def test_one_source_model_serves_fine_and_coarse_recipes(stages, tmp_path) -> None:
    fine = recipe(sources=[stages], taxonomy="wbc13", adapter="none")
    coarse = recipe(sources=[stages], training={"taxonomy": "wbc13"}, adapter="none")
    keys = [Run.prepare(made, "synthetic/1", quiet(tmp_path)).source_key for made in (fine, coarse)]
    assert keys[0] == keys[1]
    assert keys[0] != Run.prepare(recipe(sources=[stages]), "synthetic/1", quiet(tmp_path)).source_key


def test_own_names_are_mapped_by_a_file(tmp_path) -> None:
    folder = own_folder(tmp_path / "cells", "Blob", "weird", "neutro phil es", each=4)
    file = tmp_path / "labels.yaml"
    file.write_text("Blob: monocyte\nweird: null\nneutro phil es: segmented neutrophil\n")
    dataset = cellda.datasets.load("folder", folder, map=file)
    assert dataset.class_counts() == {"monocyte": 4, "neutrophil": 4}
    assert dataset.dropped["raw_label"].unique().tolist() == ["weird"]
    fine = cellda.datasets.load("folder", folder, map=file, taxonomy="wbc13")
    assert fine.class_counts() == {"monocyte": 4, "segmented neutrophil": 4}
    assert fine.fingerprint != dataset.fingerprint
    for text, said in [
        ("Blob: monocyt", "'Blob' -> 'monocyt' is not a known cell type; did you mean 'monocyte'"),
        ("Blob: ???", "'Blob' has no class yet"),
        ("- a\n", "holds no lines"),
        ("Blob: [a]\n", "is not `own name: class`"),
        ("Blob: monocyte\nBlob: neutrophil\n", "stands twice"),
    ]:
        file.write_text(text)
        with pytest.raises(
            (DataError, UnknownNameError, ConfigurationError),
            match=said.replace("?", r"\?").replace("[", r"\["),
        ):
            cellda.datasets.load("folder", folder, map=file)


def test_a_model_of_other_classes_is_adapted_with_a_new_head(tmp_path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = Backbone(name="test_efficientnet", weights="none", image_size=SIDE)
        own = CellClassifier(backbone, NormalizerSpec(name="identity"), ("x", "y", "z"))
    folder = own.save(tmp_path / "m")
    made = Recipe(source_model=folder, adapter={"name": "full", "epochs": 1}, few_shot={"n": 18}, search=None)
    with pytest.warns(UserWarning, match="has no card"):
        result = ran(made, target(), tmp_path / "store")
    assert classes_of(result.predictions) == create("paper6").classes
    with pytest.raises(ConfigurationError, match="tells x, y, z apart"):
        ran(made.with_(adapter="lame"), target(), tmp_path / "store")


def test_predictions_of_different_classes_are_not_mixed(tmp_path) -> None:
    for name in ("paper6", "wbc5"):
        result = ran(recipe(taxonomy=name), "synthetic/1", tmp_path)
        result.predictions.to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match="predictions are of different classes"):
        read_predictions(tmp_path / "paper6.parquet", tmp_path / "wbc5.parquet")


def test_a_loaded_dataset_is_told_apart_as_the_recipe_says(tmp_path) -> None:
    aim = target()
    run = Run.prepare(recipe(taxonomy="wbc5"), aim, quiet(tmp_path))
    assert run.taxonomy.classes == create("wbc5").classes
    assert len(run.target) == len(aim) - 7
    assert aim.taxonomy.classes == create("paper6").classes  # as it was


def test_a_study_has_one_list_of_classes(tmp_path) -> None:
    recipes = {"six": recipe(adapter="none"), "five": recipe(adapter="none", taxonomy="wbc5")}
    study = Study(recipes, ["synthetic/1"], workspace=quiet(tmp_path))
    with pytest.raises(ConfigurationError, match="told apart in the same classes") as error:
        study.run()
    assert "'five': basophil, eosinophil, lymphocyte" in str(error.value)
    del recipes["six"]
    table = Study(recipes, ["synthetic/1"], workspace=quiet(tmp_path)).run()
    assert classes_of(table) == create("wbc5").classes


@pytest.mark.parametrize(
    ("taxonomy", "training"), [("paper6", "own"), ("paper6", "wbc5"), ("wbc8", "wbc13")], ids=str
)
def test_a_source_model_of_classes_that_are_not_finer_is_refused_at_once(taxonomy, training) -> None:
    with pytest.raises(ConfigurationError, match="must tell finer classes apart"):
        recipe(taxonomy=taxonomy, training={"taxonomy": training})


def test_own_classes_that_can_occur_are_checked_with_the_labels(tmp_path) -> None:
    folder = own_folder(tmp_path / "cells", "Blob", "weird", "odd")
    made = recipe(taxonomy="own", few_shot={"n": 9}, present=("Blob", "wierd"))
    with pytest.raises(UnknownNameError, match="'wierd' is not one of the classes; did you mean 'weird'"):
        Run.prepare(made, f"folder={folder}", quiet(tmp_path))


def test_what_a_mapping_did_and_what_it_names_in_vain_is_said(tmp_path) -> None:
    folder = own_folder(tmp_path / "cells", "Blob", "NEU", each=3)
    file = tmp_path / "labels.yaml"
    file.write_text("Blob: monocyte\nBlop: basophil\n")
    told = " ".join(cellda.datasets.load("folder", folder, map=file).account.lines())
    assert "labels were read by the mapping: 'Blob' as monocyte" in told
    assert "the mapping names 'Blop', which no cell is labelled with; did you mean 'Blob'" in told


def test_coarse_labels_are_left_out_for_their_own_reason(tmp_path) -> None:
    folder = own_folder(tmp_path / "cells", "NEU", "band", "PLT", each=3)
    (folder / "PLT").rename(folder / "platelet")
    told = " ".join(cellda.datasets.load("folder", folder, taxonomy="wbc13").account.lines())
    assert "3 cells labelled more coarsely than the classes: 3 NEU" in told
    assert "3 cells of none of the classes: 3 platelet" in told


def test_an_account_counts_all_cells_whatever_left_them_out(tmp_path) -> None:
    folder = own_folder(tmp_path / "cells", "NEU", "band", "platelet", "odd", each=3)
    file = tmp_path / "labels.yaml"
    file.write_text("odd: null\n")
    account = cellda.datasets.load("folder", folder, taxonomy="wbc13", map=file).account
    assert (account.used, account.found) == (3, 12)
    assert account.cells_left_out == {"NEU": 3, "platelet": 3, "odd": 3}
    assert "3 cells that the mapping leaves out: 3 odd" in " ".join(account.lines())


def test_a_check_counts_the_classes_that_are_asked_for(tmp_path) -> None:
    folder = own_folder(tmp_path / "cells", "band", "seg", each=3)
    shown = Console(record=True, width=100, file=StringIO())
    shown.print(check("folder", folder, taxonomy="wbc13"))
    text = shown.export_text()
    assert re.search(r"band neutrophil +│ +3", text)
    assert "paper, Table 2" not in text


def saved_of(classes: tuple[str, ...], folder: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = Backbone(name="test_efficientnet", weights="none", image_size=SIDE)
        return CellClassifier(backbone, NormalizerSpec(name="identity"), classes).save(folder)


@pytest.mark.filterwarnings("ignore:.*has no card")
def test_a_new_head_on_a_trained_model_learns_of_the_labelled_cells_alone(tmp_path) -> None:
    model = saved_of(create("paper6").classes, tmp_path / "m")
    folder = own_folder(tmp_path / "cells", "band", "seg")
    made = Recipe(source_model=model, adapter="ncm", few_shot={"n": 6}, search=None)
    with pytest.warns(UserWarning, match="is of the classes basophil, .*, blast"):
        Run.prepare(made.with_(taxonomy="wbc13"), f"folder={folder}", quiet(tmp_path))
    with warnings.catch_warnings(record=True) as said:
        Run.prepare(made, "synthetic/1", quiet(tmp_path))
    assert not any("No cell" in str(one.message) for one in said)


@pytest.mark.filterwarnings("ignore:.*has no card")
def test_a_head_that_cannot_be_used_is_refused_before_data_are_read(tmp_path) -> None:
    model = saved_of(create("paper6").classes, tmp_path / "m")
    made = Recipe(source_model=model, adapter="none", taxonomy="wbc13", search=None)
    with pytest.raises(ConfigurationError, match="only its encoder and embedding can be used"):
        Run.prepare(made, f"folder={tmp_path / 'nowhere'}", quiet(tmp_path))


def test_own_classes_need_labels(tmp_path) -> None:
    image = own_folder(tmp_path / "cells", "Blob", "weird", each=1) / "Blob" / "0.png"
    made = recipe(taxonomy="own", adapter="lame")
    with pytest.raises(ConfigurationError, match="takes the classes of labelled cells; there are none"):
        Run.own(made, None, [image], quiet(tmp_path))
