"""What a study may cost: sources trained once, images decoded once, no image through the encoder without need."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from torch import nn
from torchvision.utils import save_image

import cellda.datasets
from cellda import Recipe
from cellda.datasets.base import CellDataset
from cellda.datasets.synthetic import Synthetic
from cellda.experiment.study import Study
from cellda.models import classifier
from cellda.models.folding import Pairs
from cellda.presets import CONDITIONS
from cellda.runtime.work import Stage, Work, watched
from tiny import SIDE, SOURCE, adapting, quiet, recipe, target

SUPPORT, QUERY, EPOCHS = 18, 24, 2
QUICK = {"epochs": EPOCHS}
OPTIONS = {"none": {}, "mixed_source": {**QUICK, "source_images": 12}}


@dataclass
class Done:
    """What was done: trainings, reads by (dataset, row, side), images that went through an encoder."""

    trainings: Counter = field(default_factory=Counter)
    reads: Counter = field(default_factory=Counter)
    encoded: int = 0

    def clear(self) -> None:
        self.trainings.clear()
        self.reads.clear()
        self.encoded = 0


@pytest.fixture(scope="module")
def work():
    """Counts the work of all tests of this module."""
    done = Done()
    build = classifier.build_encoder

    def counted_training(begun: Work) -> None:
        if begun.stage in {Stage.TRAIN_SOURCE, Stage.ADAPT}:
            done.trainings[begun] += 1

    def counted_read(read):
        def counted(self, indices, size):
            done.reads.update((self.full_name, int(row), size) for row in indices)
            return read(self, indices, size)

        return counted

    def count_images(_encoder: nn.Module, inputs: tuple) -> None:
        done.encoded += len(inputs[0])

    def counted_encoder(*given, **options):
        encoder = build(*given, **options)
        encoder.register_forward_pre_hook(count_images)
        return encoder

    with pytest.MonkeyPatch.context() as patch, watched(counted_training):
        patch.setattr(Synthetic, "read", counted_read(Synthetic.read))
        patch.setattr(CellDataset, "read", counted_read(CellDataset.read))
        patch.setattr(classifier, "build_encoder", counted_encoder)
        for user in ("cellda.training.loop", "cellda.models.classifier"):
            # Folding tries itself on an image of its own; what is counted here are the data's.
            patch.setattr(f"{user}.find_pairs", lambda _module, _images: Pairs())
        yield done


@pytest.fixture
def fresh(work: Done) -> Done:
    work.clear()
    return work


def own_folder(root: Path) -> CellDataset:
    """A target that is read from files: drawn cells of another laboratory, one folder a class."""
    drawn = target(2)
    pixels = drawn.read(range(len(drawn)), SIDE).float() / 255
    for image, label, path in zip(pixels, drawn.table["label"], drawn.table["path"], strict=True):
        file = root / label / f"{Path(path).name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        save_image(image, file)
    return cellda.datasets.load("folder", root)


def with_adapter(name: str) -> Recipe:
    return recipe(adapter={"name": name, **OPTIONS.get(name, QUICK)})


# ---------------------------------------------------------------------------------------------- the whole study


@pytest.fixture(scope="module")
def studied(work: Done, tmp_path_factory) -> tuple[Done, Done, pd.DataFrame, pd.DataFrame]:
    """The six conditions on two targets in two draws, made twice: the work of each time, and its predictions."""
    folder = tmp_path_factory.mktemp("study")
    recipes = {
        name: recipe().with_preset(name).with_(adapter=OPTIONS.get(str(edits["adapter"]), QUICK))
        for name, edits in CONDITIONS.items()
    }
    targets = [target(1), own_folder(folder / "smears")]
    first, again = Done(), Done()
    tables = []
    for times in (first, again):
        work.clear()
        study = Study(recipes, targets, draws=(0, 1), workspace=quiet(folder / "store"))
        tables.append(study.run())
        times.trainings, times.reads, times.encoded = (
            Counter(work.trainings),
            Counter(work.reads),
            work.encoded,
        )
    return first, again, *tables


def test_a_study_trains_one_source_model_and_adapts_once_a_run(studied) -> None:
    first, *_ = studied
    assert first.trainings == {
        SOURCE: 1,
        adapting("from_scratch"): 4,
        adapting("head_only"): 4,
        adapting("mixed_source"): 4,
        adapting("full"): 8,  # with the target's colours as they are, and normalized
    }


def test_a_study_decodes_every_image_once(studied) -> None:
    first, *_ = studied
    rows = {"synthetic/0": 36, "synthetic/1": 42, "folder/smears": 42}
    assert first.reads == {(name, row, SIDE): 1 for name, count in rows.items() for row in range(count)}


def test_a_study_sends_images_through_the_encoder_only_to_learn_and_to_predict(studied) -> None:
    first, *_ = studied
    source = (
        36 + 36
    )  # trained on in the one epoch, or held out and measured on; then what it has seen is measured
    a_draw = {
        "no_source_train": EPOCHS * SUPPORT + QUERY,
        "no_fine_tune": QUERY,
        "head_only": SUPPORT + QUERY,
        "mixed_train": EPOCHS * (SUPPORT + 12) + QUERY,
        "no_transform": EPOCHS * SUPPORT + QUERY,
        "our_workflow": EPOCHS * SUPPORT + QUERY,
    }
    assert a_draw.keys() == CONDITIONS.keys()
    assert first.encoded == source + 4 * sum(a_draw.values())


def test_a_study_that_is_done_costs_nothing(studied) -> None:
    _, again, table, found = studied
    assert again == Done()
    pd.testing.assert_frame_equal(found, table)


# ---------------------------------------------------------------------------------------------- single runs


SEEN = 28 + SUPPORT
"""Cells of source and target that a model which is kept is asked for afterwards, for what it has seen."""


@pytest.fixture(scope="module")
def store(work: Done, tmp_path_factory) -> Path:
    """A store with the source model and all decoded images."""
    folder = tmp_path_factory.mktemp("store")
    with_adapter("none").run(target(), store=folder, progress=False)
    return folder


@pytest.mark.parametrize(
    ("name", "images"),
    [("head_only", SUPPORT + QUERY), ("full", EPOCHS * SUPPORT + QUERY)],
)
def test_an_adaptation_encodes_what_it_must_and_nothing_else_is_made(store, fresh, name, images) -> None:
    with_adapter(name).run(target(), store=store, progress=False)
    assert fresh == Done(trainings=Counter({adapting(name): 1}), encoded=images + SEEN)


def test_a_search_among_heads_encodes_the_support_once_for_all_trials_and_folds(store, fresh) -> None:
    with_adapter("head_only").with_(search={"trials": 3}).run(target(), store=store, progress=False)
    assert fresh.trainings[adapting("head_only")] > 3
    assert fresh.encoded == SUPPORT + SUPPORT + QUERY + SEEN  # search, adaptation, prediction


def test_predicting_with_the_source_model_encodes_the_query_only(store, fresh) -> None:
    recipe(adapter="none", few_shot={"draw": 1}).run(target(), store=store, progress=False)
    assert fresh == Done(encoded=QUERY)


def test_another_side_is_decoded_once_more(store, fresh) -> None:
    larger = recipe(adapter="none", backbone={"image_size": SIDE + 16})
    for _ in range(2):
        larger.run(target(), store=store, progress=False)
    rows = {"synthetic/0": 36, "synthetic/1": 42}
    assert fresh.reads == {(name, row, SIDE + 16): 1 for name, count in rows.items() for row in range(count)}
