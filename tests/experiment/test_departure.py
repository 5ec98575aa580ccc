"""Runs without labels say how far they moved from their source model, and what speaks for it."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.neighbors import NearestNeighbors

import cellda.adapters
from cellda.adapters import Adapter, Effect, Need
from cellda.experiment import departure
from cellda.experiment.departure import Departure, Origin, coherence, nearest
from cellda.experiment.record import RunRecord
from cellda.experiment.workflow import adapt
from tiny import recipe, target


class Rolled(Adapter):
    """Gives every cell the next class."""

    effects = frozenset({Effect.HEAD})

    def adapt(self, model, target, context):
        last, order = model.head[-1], [1, 2, 3, 4, 5, 0]
        with torch.no_grad():
            last.weight.copy_(last.weight[order])
            last.bias.copy_(last.bias[order])
        return model

    def image_passes(self, offer) -> int:
        return 0


class Told(Rolled):
    """The same, with labels."""

    needs = frozenset({Need.LABELS})


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(autouse=True)
def plug_ins():
    registry = cellda.adapters.registry
    with registry.scratch():
        registry.register("rolled")(Rolled)
        registry.register("told")(Told)
        yield


def run(store: Path, adapter: str, **edits):
    return recipe(adapter=adapter, **edits).run(target(), store=store, progress=False)


# ---------------------------------------------------------------------------------------------- the measure


def test_neighbours_are_those_of_scikit_learn(monkeypatch) -> None:
    z = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    found = nearest(torch.from_numpy(z))
    peer = NearestNeighbors(n_neighbors=10, metric="cosine").fit(z).kneighbors(return_distance=False)
    assert [set(row) for row in found.tolist()] == [set(row) for row in peer]
    assert nearest(torch.from_numpy(z[:4])).shape == (4, 3)
    assert nearest(torch.from_numpy(z[:1])).shape == (1, 0)


def test_coherence_is_agreement_of_neighbours_beyond_chance() -> None:
    near = nearest(torch.randn(200, 4, generator=torch.Generator().manual_seed(0)))
    classes = torch.randint(0, 3, (200,), generator=torch.Generator().manual_seed(1))
    classes[:120] = 0  # unequal shares
    p = np.bincount(classes) / 200
    shared = np.mean([classes[i] == classes[j] for i in range(200) for j in near[i]])
    assert coherence(classes, near) == pytest.approx((shared - (p**2).sum()) / (1 - (p**2).sum()))
    drawn = [coherence(classes[torch.randperm(200)], near) for _ in range(50)]
    assert abs(np.mean(drawn)) < 0.02


def test_two_groups_that_are_told_apart_are_coherent_and_one_class_for_all_is_not() -> None:
    z = torch.cat([torch.tensor([[5.0, 0.0]]), torch.tensor([[0.0, 5.0]])]).repeat_interleave(40, 0)
    near = nearest(z + torch.randn(80, 2, generator=torch.Generator().manual_seed(0)) * 0.3)
    assert coherence(torch.arange(80) // 40, near) == pytest.approx(1.0)
    assert coherence(torch.zeros(80, dtype=torch.int64), near) == 0.0
    assert coherence(torch.arange(1), torch.empty(1, 0, dtype=torch.int64)) == 0.0


# ---------------------------------------------------------------------------------------------- what is said


def test_models_are_compared_on_the_same_neighbours() -> None:
    z = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    before, after = torch.arange(30) % 2, torch.arange(30) % 3
    origin = Origin(torch.arange(30), None, z, before)
    found = origin.left_by(torch.nn.functional.one_hot(after, 3).float())
    assert found.cells == 30
    assert found.differing == int((before != after).sum()) == 20
    assert found.coherence_before == coherence(before, nearest(z))
    assert found.coherence_after == coherence(after, nearest(z))


@pytest.mark.parametrize(("differing", "said"), [(33, False), (34, True), (100, True)])
def test_more_than_a_third_is_told(differing, said) -> None:
    found = Departure(cells=100, differing=differing, coherence_before=0.5, coherence_after=0.4)
    assert bool(found.lines()) == said


def test_the_words_follow_the_measure() -> None:
    better, worse = (
        " ".join(Departure(cells=1000, differing=412, coherence_before=0.5, coherence_after=after).lines())
        for after in (0.6, 0.4)
    )
    for text in (better, worse):
        assert "412 of 1,000 compared cells (41%) have another class now" in text
        assert "label a few cells" in text
        assert "adapter none" in text
    assert "(source model 0.50, adapted model 0.60), which speaks for it but does not prove it" in better
    assert "do not share a class more often after the adaptation" in worse
    assert "do not trust it" in worse


@pytest.mark.parametrize("before", [-0.5, -0.01])
def test_a_model_that_gives_one_class_to_all_cells_is_not_spoken_for(before) -> None:
    one = coherence(torch.zeros(30, dtype=torch.int64), nearest(torch.randn(30, 4)))
    found = Departure(cells=30, differing=30, coherence_before=before, coherence_after=one)
    assert "do not trust it" in " ".join(found.lines())


def test_a_few_cells_speak_for_neither_model() -> None:
    text = " ".join(Departure(cells=19, differing=19, coherence_before=0.1, coherence_after=0.9).lines())
    assert "these cells are too few to tell which is right" in text
    assert "speaks for it" not in text


# ---------------------------------------------------------------------------------------------- runs


def test_a_run_without_labels_records_and_says_how_far_it_moved(store) -> None:
    result = run(store, "rolled")
    found = result.record.departure
    assert (found.cells, found.differing, found.share) == (
        len(result.predictions),
        len(result.predictions),
        1.0,
    )
    assert found.coherence_before == pytest.approx(
        found.coherence_after
    )  # the same classes under other names
    text = " ".join(str(result).split())
    assert f"{found.cells} of {found.cells} compared cells (100%) have another class now" in text
    assert RunRecord.read(result.path / "record.json").departure == found
    source = run(store, "none").predictions["predicted"]
    lame = run(store, "lame")
    assert lame.record.departure.differing == (lame.predictions["predicted"] != source).sum()


@pytest.mark.parametrize("adapter", ["none", "told"])
def test_there_is_nothing_to_compare_with_labels_or_without_a_change(store, adapter) -> None:
    result = run(store, adapter)
    assert result.record.departure is None
    assert "another class now" not in str(result)


def test_few_cells_of_a_large_query_are_compared(store, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(departure, "MOST", 5)
    result = run(tmp_path, "rolled")
    assert (result.record.departure.cells, result.record.departure.differing) == (5, 5)
    assert len(result.predictions) > 5


def test_a_laboratorys_own_model_says_it_made_or_found_in_the_store(tmp_path) -> None:
    cells = target()
    (tmp_path / "new").mkdir()
    for number in range(24):
        pixels = cells.read([number], 40)[0].permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(tmp_path / "new" / f"{number}.png")
    chosen = recipe(adapter="rolled")
    for _ in range(2):
        with (
            pytest.warns(UserWarning, match="24 compared cells .* have another class now"),
            pytest.warns(UserWarning, match="to know, label a few cells"),
        ):
            adapt(chosen, None, tmp_path / "new", store=tmp_path / "store", progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapt(chosen.with_(adapter="none"), None, tmp_path / "new", store=tmp_path / "store", progress=False)
    [file] = (tmp_path / "store").glob("adapted/*/departure.json")
    assert json.loads(file.read_text())["differing"] == 24
