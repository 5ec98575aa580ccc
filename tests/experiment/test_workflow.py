"""Runs from end to end: nothing leaks, nothing runs twice, nothing half-done is trusted, everything is recorded."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import cellda.adapters
import cellda.datasets
from cellda import Recipe
from cellda.adapters import Adapter, Effect, Need, TargetView
from cellda.adapters.families.batchnorm import batchnorms
from cellda.adapters.full import Full
from cellda.data.few_shot import draw_support
from cellda.datasets.base import CellDataset
from cellda.datasets.synthetic import Synthetic
from cellda.errors import ConfigurationError, DataError
from cellda.evaluation.predictions import probabilities, validate
from cellda.experiment.result import RunResult
from cellda.experiment.run import Run
from cellda.experiment.stages import held_out_predictions, source_model
from cellda.models.classifier import CellClassifier
from cellda.normalizers.identity import Identity
from cellda.plugins.settings import tunable
from cellda.runtime.work import Stage, Work, watched
from cellda.training import epoch
from cellda.training.loop import Trainer
from tiny import CLASSES, SIDE, SOURCE, adapting, prepared, quiet, recipe, relabelled, target

WITH_SOURCE = ("mixed_source", "coral", "mmd", "dann")
SMALL = {
    "head_only": {"epochs": 3},
    "self_training": {"threshold": 0.1},
    **{name: {"source_images": 12} for name in WITH_SOURCE},
}


def with_adapter(name: str, **edits) -> Recipe:
    quick = {"epochs": 2} if "epochs" in cellda.adapters.get(name).model_fields else {}
    return recipe(adapter={"name": name, **quick, **SMALL.get(name, {})}, **edits)


def run(chosen: Recipe, store: Path, aim: CellDataset | None = None, **options) -> RunResult:
    return chosen.run(aim or target(), store=store, progress=False, **options)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """A store that tests share who do not look at what is in it."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def work() -> Iterator[Counter]:
    """Work that has begun, by what it is."""
    done: Counter = Counter()
    with watched(lambda begun: done.update([begun])):
        yield done


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Images that were read from a drawn set, by its name, row and side; whatever asked for them."""
    done: Counter = Counter()
    read = Synthetic.read

    def counted(self: Synthetic, indices: Sequence[int], size: int) -> torch.Tensor:
        done.update((self.full_name, int(row), size) for row in indices)
        return read(self, indices, size)

    monkeypatch.setattr(Synthetic, "read", counted)
    return done


EACH_ONCE = {("synthetic/0", row, SIDE): 1 for row in range(36)} | {
    ("synthetic/1", row, SIDE): 1 for row in range(42)
}
"""All images of the source and of the target, each read once."""


def decoding(name: str) -> Work:
    return Work(Stage.DECODE, name)


@pytest.fixture
def plug_in():
    """Registers adapters for one test."""
    registry = cellda.adapters.registry
    with registry.scratch():
        yield registry.register


def photographs() -> list[tuple[str, np.ndarray]]:
    """Eight fields of six cells, 40 x 40 each, a class brighter than the one before."""
    rng = np.random.default_rng(0)
    shades = np.repeat(np.arange(6) * 30 + 40, 40)[None, :, None]
    return [
        (f"fields/{i}.png", (shades + rng.integers(0, 25, (40, 240, 3))).astype(np.uint8)) for i in range(8)
    ]


@pytest.fixture(scope="module")
def fields(tmp_path_factory) -> CellDataset:
    """48 cells cut from eight photographs, each a group."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "fields").mkdir()
    lines = ["path,label,group,x,y,w,h"]
    for path, pixels in photographs():
        Image.fromarray(pixels).save(folder / path)
        lines += [f"{path},{label},{path},{40 * i},0,40,40" for i, label in enumerate(CLASSES)]
    (folder / "cells.csv").write_text("\n".join(lines) + "\n")
    return cellda.datasets.load("table", folder / "cells.csv")


# ---------------------------------------------------------------------------------------------- no leak


@pytest.fixture(scope="module")
def other_store(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("other_store")


@pytest.mark.parametrize(
    "edits",
    [
        *({"adapter": name} for name in cellda.adapters.names()),
        {"adapter": "head_only", "search": {"trials": 2}},
    ],
    ids=str,
)
def test_predictions_know_nothing_of_query_labels(store, other_store, monkeypatch, edits) -> None:
    chosen = with_adapter(**{"name": edits["adapter"]}, search=edits.get("search"))
    plain = run(chosen, store).predictions
    aim, draw = relabelled(chosen.few_shot, chosen.protocol)
    monkeypatch.setattr("cellda.experiment.workspace.draw_support", lambda *_: draw)
    permuted = run(chosen, other_store, aim).predictions

    assert plain["path"].tolist() == permuted["path"].tolist()
    assert (plain["label"] != permuted["label"]).mean() > 0.5
    assert np.array_equal(probabilities(plain), probabilities(permuted))
    assert plain["predicted"].tolist() == permuted["predicted"].tolist()


def test_an_adapter_sees_the_pool_as_images_only(store, plug_in) -> None:
    seen: list[TargetView] = []

    @plug_in("onlooker")
    class Onlooker(Adapter):
        """Looks at everything it is given."""

        effects: ClassVar[frozenset[Effect]] = frozenset()
        needs: ClassVar[frozenset[Need]] = frozenset({Need.UNLABELLED})
        value: int = tunable(1, low=1, high=3)

        def adapt(self, model, target, context):
            assert context.source == ()
            seen.append(target)
            return model

        def image_passes(self, offer) -> int:
            return 0

    result = run(recipe(adapter="onlooker"), store)
    (view,) = seen
    assert view.unlabelled is not None
    assert len(view.unlabelled) == len(result.predictions)
    assert view.unlabelled.groups == ()
    for images in (view.unlabelled, view.support):  # it did not declare that it needs labels
        assert images.known_labels is None
        with pytest.raises(ConfigurationError, match="no labels"):
            _ = images.labels
    assert result.labels_used == 0

    # A search looks at the support labels in the method's place, and they are counted.
    searched = run(recipe(adapter="onlooker", search={"trials": 2}), store)
    assert searched.labels_used == 18
    assert all(view.support.known_labels is None for view in seen)


def test_an_adapter_that_declares_nothing_gets_no_pool_and_no_source(store, plug_in) -> None:
    @plug_in("modest")
    class Modest(Adapter):
        """Is content with the support."""

        effects: ClassVar[frozenset[Effect]] = frozenset()
        needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS})

        def adapt(self, model, target, context):
            assert target.unlabelled is None
            assert context.source == ()
            assert len(target.support.labels) == len(target.support.groups) == 18
            return model

        def image_passes(self, offer) -> int:
            return 0

    assert run(recipe(adapter="modest"), store).labels_used == 18


# ---------------------------------------------------------------------------------------------- predictions


def test_predictions_are_one_checked_row_a_query_image(store) -> None:
    chosen = recipe(few_shot={"draw": 2})
    aim = target()
    result = run(chosen, store, aim)
    draw = draw_support(aim, 18, 2)
    table = result.predictions
    pd.testing.assert_frame_equal(table, validate(table))
    cells = aim.table.iloc[list(draw.query)]
    assert len(table) == 42 - 18
    assert table["path"].tolist() == cells["path"].tolist()
    assert table["label"].tolist() == cells["label"].tolist()
    assert table["group"].tolist() == [draw.groups[row] for row in draw.query]
    run_of = ("condition", "target", "draw", "seed", "protocol")
    assert [table[name].unique().tolist() for name in run_of] == [
        ["our_workflow"],
        ["synthetic/1"],
        [2],
        [0],
        ["clean"],
    ]
    assert not any(Path(path).is_absolute() or ".." in path for path in table["path"])
    # They are what the kept model says of these images.
    said = result.model.predict(aim.read(list(draw.query), SIDE))
    np.testing.assert_allclose(probabilities(table), said.probabilities.numpy(), atol=1e-5)
    assert table["predicted"].tolist() == [CLASSES[i] for i in said.probabilities.argmax(1).tolist()]
    assert result.metrics.accuracy.value == pytest.approx((table["label"] == table["predicted"]).mean())


def test_cells_of_one_photograph_are_told_apart(store, fields) -> None:
    result = run(recipe(few_shot={"n": 12}), store, fields)
    paths = [*result.predictions["path"], *result.record.support_files]
    assert "fields/0.png#xywh=40,0,40,40" in {f"fields/{i}.png#xywh=40,0,40,40" for i in range(8)} & set(
        paths
    )
    assert len(set(paths)) == len(paths)
    by_path = dict(zip(result.predictions["path"], result.predictions["label"], strict=True))
    assert all(
        CLASSES[int(path.split("=")[1].split(",")[0]) // 40] == label for path, label in by_path.items()
    )


def test_the_protocol_decides_whether_photographs_are_kept_apart(store, fields) -> None:
    def pictures(result: RunResult) -> tuple[set[str], set[str]]:
        support = {path.partition("#")[0] for path in result.record.support_files}
        return support, set(result.predictions["group"])

    clean = run(recipe(few_shot={"n": 12}), store, fields)
    paper = run(recipe(few_shot={"n": 12}, protocol="paper"), store, fields)
    support, query = pictures(clean)
    assert not support & query
    support, query = pictures(paper)
    assert support & query
    assert len(paper.predictions) == 48 - 12
    assert [r.record.protocol for r in (clean, paper)] == ["clean", "paper"]
    assert set(paper.predictions["protocol"]) == {"paper"}
    assert clean.digest != paper.digest


# ---------------------------------------------------------------------------------------------- the record


def test_the_record_says_everything(store, plug_in) -> None:
    @plug_in("blurred_head")
    class BlurredHead(Adapter):
        """Weakens the last layer."""

        effects: ClassVar[frozenset[Effect]] = frozenset({Effect.HEAD})
        needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS})
        share: float = tunable(0.5, low=0.1, high=1.0)

        def adapt(self, model, target, context):
            model.head[-1].weight.data.mul_(self.share)
            return model

        def image_passes(self, offer) -> int:
            return 0

    adapter = {"name": "blurred_head", "share": 0.4}
    chosen = recipe(adapter=adapter, search={"trials": 2}, few_shot={"draw": 1}, seed=1)
    aim = target()
    result = run(chosen, store, aim)
    record = json.loads((result.path / "record.json").read_text())
    assert result.record.model_dump(mode="json") == record
    assert Recipe(**record["recipe"]) == chosen == result.recipe
    assert record["digest"] == result.digest == result.path.name
    assert record["condition"] == "blurred_head"
    assert (record["target"], record["draw"], record["seed"]) == ("synthetic/1", 1, 1)
    assert record["versions"] == {name: version(name) for name in record["versions"]}
    assert {"cellda", "torch", "torchvision", "timm", "kornia"} <= set(record["versions"])
    assert record["device"].startswith("cpu, ")
    draw = draw_support(aim, 18, 1)
    assert record["support_files"] == aim.table["path"].iloc[list(draw.support)].tolist()
    assert not set(record["support_files"]) & set(result.predictions["path"])
    assert record["labels_used"] == result.labels_used == 18
    assert record["unsupported"] == []
    assert set(record["seconds"]) == {"source", "search", "adapt", "predict"}
    assert all(seconds >= 0 for seconds in record["seconds"].values())
    assert record["seconds"]["search"] > 0
    # The adapter that was used is the best trial's; the recipe keeps what was asked for.
    assert [trial.number for trial in result.trials] == [0, 1]
    best = max(result.trials, key=lambda trial: trial.score)
    assert record["adapter"] == {"name": "blurred_head", **best.values}  # noqa: PD011
    assert record["recipe"]["adapter"] == adapter


def test_labels_and_trials_are_counted_where_there_are_any(store) -> None:
    none = run(recipe(adapter="none", search={"trials": 2}), store)
    assert none.labels_used == 0
    assert none.trials == ()
    assert none.record.condition == "no_fine_tune"
    assert run(recipe(), store).labels_used == 18


def test_classes_without_support_are_named(store) -> None:
    aim = target()
    aim.table = aim.table[(aim.table["label"] != "basophil") | (aim.table.index == 0)].reset_index(drop=True)
    # A clean draw of one grouped basophil leaves it to the query.
    aim.table["group"] = [f"smear {row % 12}" for row in range(len(aim.table))]
    result = run(recipe(few_shot={"n": 12}, seed=3), store, aim)
    assert result.record.unsupported == ("basophil",)
    assert "basophil" in set(result.predictions["label"])


def test_every_draw_and_seed_adapts_in_its_own_way(store, tmp_path) -> None:
    cases = [prepared(recipe(seed=s, few_shot={"draw": d}), tmp_path) for s in (0, 1) for d in (0, 1)]
    assert len({case.seed for case in cases}) == len({case.digest for case in cases}) == 4
    assert len({json.dumps(case.source_key) for case in cases}) == 2
    one, two = run(recipe(), store), run(recipe(seed=1), store)
    assert one.predictions["path"].tolist() == two.predictions["path"].tolist()
    assert not np.array_equal(probabilities(one.predictions), probabilities(two.predictions))


# ---------------------------------------------------------------------------------------------- nothing twice


def test_a_second_run_is_found_in_the_store(tmp_path, work, reads) -> None:
    chosen = recipe(adapter={"name": "head_only", "epochs": 20}, search={"trials": 1})
    first = run(chosen, tmp_path)
    assert work[SOURCE] == 1
    assert work[decoding("synthetic/0")] == work[decoding("synthetic/1")] == 1
    assert work[Work(Stage.PREDICT)] > 0
    assert reads == EACH_ONCE
    work.clear()
    again = run(chosen, tmp_path)
    assert not work
    assert reads == EACH_ONCE
    assert again.path == first.path
    assert again.record == first.record
    pd.testing.assert_frame_equal(again.predictions, first.predictions)


def test_conditions_and_draws_share_one_source_model(tmp_path, work, reads) -> None:
    for name in ("full", "none"):
        for draw in (0, 1):
            run(with_adapter(name, few_shot={"draw": draw}), tmp_path)
    run(recipe(target_normalizer="identity", protocol="paper"), tmp_path)
    assert work[SOURCE] == 1
    assert work[decoding("synthetic/0")] == work[decoding("synthetic/1")] == 1
    assert reads == EACH_ONCE
    assert work[adapting("full")] == 3
    assert len(list((tmp_path / "source").glob("*/source.json"))) == 1
    assert len(list((tmp_path / "runs").glob("*/record.json"))) == 5


def test_another_seed_or_training_makes_another_source_model(tmp_path, work) -> None:
    for edits in ({}, {"seed": 1}, {"training": {"lr": 1e-3}}):
        run(recipe(adapter="none", **edits), tmp_path)
    assert work[SOURCE] == 3
    assert work[decoding("synthetic/0")] == 1


def test_from_scratch_has_nothing_to_do_with_the_source(tmp_path, work) -> None:
    result = run(with_adapter("from_scratch"), tmp_path)
    assert result.record.condition == "no_source_train"
    assert not (tmp_path / "source").exists()
    assert work[SOURCE] == work[decoding("synthetic/0")] == 0
    assert work[adapting("from_scratch")] == 1


def test_a_normalizer_fitted_on_the_source_is_fitted_once(tmp_path, work) -> None:
    fitted = {"name": "reinhard", "reference": "source"}
    one = run(recipe(normalizer=fitted), tmp_path)
    run(recipe(normalizer=fitted, adapter="none"), tmp_path)
    assert len(list((tmp_path / "normalizer").glob("*/*.safetensors"))) == 1
    # Not even from_scratch can do without the source images then, though it trains on none of them.
    work.clear()
    two = run(with_adapter("from_scratch", normalizer=fitted), tmp_path)
    assert work[SOURCE] == 0
    for mine, other in zip(
        one.model.normalizer.state_dict().values(), two.model.normalizer.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, other)


def test_a_run_without_its_model_is_made_again_when_the_model_is_wanted(tmp_path, work) -> None:
    bare = run(recipe(), tmp_path, keep_model=False)
    assert not (bare.path / "model").exists()
    with pytest.raises(ConfigurationError, match="keep_model=True"):
        _ = bare.model
    kept = run(recipe(), tmp_path)
    assert isinstance(kept.model, CellClassifier)
    assert work[SOURCE] == 1
    pd.testing.assert_frame_equal(kept.predictions, bare.predictions)
    work.clear()
    assert run(recipe(), tmp_path, keep_model=False).path == kept.path
    assert not work


# ---------------------------------------------------------------------------------------------- interruption


@pytest.mark.parametrize("where", ["adapt", "write"])
def test_an_interrupted_run_is_not_taken_for_a_finished_one(
    tmp_path, store, work, monkeypatch, where
) -> None:
    def stop(*_given):
        raise KeyboardInterrupt

    owner, method = {"adapt": (Full, "adapt"), "write": (RunResult, "write")}[where]
    with monkeypatch.context() as patched:
        patched.setattr(owner, method, stop)
        with pytest.raises(KeyboardInterrupt):
            run(recipe(), tmp_path)
    case = prepared(recipe(), tmp_path)
    assert case.finished() is None
    assert not list((tmp_path / "runs").glob("*/record.json"))

    result = run(recipe(), tmp_path)
    assert work[SOURCE] == 1  # what was done before is kept
    assert work[decoding("synthetic/0")] == work[decoding("synthetic/1")] == 1
    assert case.finished() == result.path
    assert not list((tmp_path / "runs").glob("*.partial"))
    pd.testing.assert_frame_equal(result.predictions, run(recipe(), store).predictions)


def test_an_interrupted_source_training_goes_on_where_it_stopped(tmp_path, store, monkeypatch) -> None:
    chosen = recipe(training={"epochs": 3}, adapter="none")
    epochs: list[int] = []
    inner = epoch.Epoch.run

    def impatient(self, *given):
        if len(epochs) == 2:
            raise KeyboardInterrupt
        epochs.append(1)
        return inner(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(epoch.Epoch, "run", impatient)
        with pytest.raises(KeyboardInterrupt):
            run(chosen, tmp_path)
    assert not list((tmp_path / "source").glob("*/source.json"))

    result = run(chosen, tmp_path)
    record = json.loads(next((tmp_path / "source").glob("*/source.json")).read_text())
    assert len(record["losses"]) == 3  # those before the interruption as well
    assert not list((tmp_path / "source").glob("*/checkpoints"))
    pd.testing.assert_frame_equal(result.predictions, run(chosen, store).predictions)


# ---------------------------------------------------------------------------------------------- the source


def test_the_source_model_is_measured_on_what_it_was_not_trained_on(tmp_path, fields, monkeypatch) -> None:
    trained = []
    fit = Trainer.fit

    def watched(self, module, examples, *given, **options):
        trained.append(examples.sets)
        return fit(self, module, examples, *given, **options)

    measured = []
    probabilities_of = Trainer.probabilities

    def measuring(self, model, images, *given):
        measured.append(images.rows.tolist())
        return probabilities_of(self, model, images, *given)

    monkeypatch.setattr(Trainer, "fit", watched)
    monkeypatch.setattr(Trainer, "probabilities", measuring)
    aim = target()
    case = Run(recipe(), (fields,), aim, draw_support(aim, 18), quiet(tmp_path))
    folder = source_model(case, Trainer("cpu"))
    ((part,),) = trained
    assert 48 * 0.6 < len(part) < 48
    held = set(fields.effective_groups()) - set(part.groups)
    assert held
    rows = [row for row, group in enumerate(fields.effective_groups()) if group in held]
    assert len(part) + len(rows) == 48  # whole photographs are held out
    assert measured == [rows]
    model = CellClassifier.load(folder)
    found = model.predict(fields.read(rows, SIDE)).probabilities.argmax(1).tolist()
    said = [CLASSES[index] for index in found]
    accuracy = np.mean([said[i] == fields.table["label"].iloc[row] for i, row in enumerate(rows)])
    record = json.loads((folder / "source.json").read_text())
    assert record["held_out_accuracy"] == {"synthetic/0": pytest.approx(accuracy)}
    assert len(record["losses"]) == 1
    assert record["seconds"]["train"] > 0


def test_all_of_a_source_is_trained_on_where_nothing_is_held_out(tmp_path, monkeypatch) -> None:
    lengths = []
    fit = Trainer.fit

    def watched(self, module, examples, *given, **options):
        lengths.append(options["order"].lengths)
        return fit(self, module, examples, *given, **options)

    monkeypatch.setattr(Trainer, "fit", watched)
    run(recipe(training={"holdout": 0}, adapter="none"), tmp_path)
    assert lengths == [(36,)]
    assert json.loads(next(tmp_path.glob("source/*/source.json")).read_text())["held_out_accuracy"] == {}


def test_all_measures_of_the_source_model_follow_from_its_held_out_predictions(tmp_path, fields) -> None:
    aim = target()
    chosen = recipe(sources=["synthetic/0", "synthetic/2"])
    other = cellda.datasets.load("synthetic/2", per_class=6)
    case = Run(chosen, (fields, other), aim, draw_support(aim, 18), quiet(tmp_path))
    folder = source_model(case, Trainer("cpu"))
    table = held_out_predictions(folder)
    record = json.loads((folder / "source.json").read_text())
    accuracy = (table["label"] == table["predicted"]).groupby(table["target"], sort=False).mean()
    assert list(accuracy) == pytest.approx(list(record["held_out_accuracy"].values()))
    assert list(accuracy.index) == [fields.full_name, "synthetic/2"]
    assert set(table[["condition", "draw", "seed", "protocol"]].itertuples(index=False, name=None)) == {
        ("source", 0, 0, "clean")
    }
    # Cells of one field share its file, so their names carry the box; all of a held-out field is there.
    cut = table[table["target"] == fields.full_name]
    assert set(cut["path"]) == {f"{g}#xywh={40 * i},0,40,40" for g in set(cut["group"]) for i in range(6)}
    model = CellClassifier.load(folder)
    rows = [int(path[-5:]) + 6 * CLASSES.index(path.partition("/")[0]) for path in table["path"][len(cut) :]]
    again = model.predict(other.read(rows, SIDE)).probabilities.numpy()
    np.testing.assert_allclose(probabilities(table)[len(cut) :], again, atol=1e-5)


def test_a_source_without_a_held_out_part_has_no_predictions_of_one(tmp_path) -> None:
    case = prepared(recipe(training={"holdout": 0}), tmp_path)
    with pytest.raises(DataError, match=r"holdout=0.*Set training\.holdout"):
        held_out_predictions(source_model(case, Trainer("cpu")))


def test_a_source_too_small_to_hold_out_from_is_refused(tmp_path, fields) -> None:
    tiny_source = [{"name": "synthetic/0", "options": {"per_class": 4}}]
    with pytest.raises(ConfigurationError, match=r"of the source 'synthetic/0' needs.*training.holdout=0"):
        run(recipe(sources=tiny_source), tmp_path)
    aim = target()
    one_smear = cellda.datasets.load("table", fields.file)
    one_smear.table["group"] = "smear"
    case = Run(recipe(), (one_smear,), aim, draw_support(aim, 18), quiet(tmp_path))
    with pytest.raises(ConfigurationError, match=r"48 images in 1 group"):
        source_model(case, Trainer("cpu"))


def test_no_transform_leaves_the_targets_colours_and_them_alone(store) -> None:
    chosen = recipe().with_preset("no_transform").with_(adapter={"name": "full", "epochs": 2})
    result = run(chosen, store)
    assert result.record.condition == "no_transform"
    assert isinstance(result.model.normalizer, Identity)
    case = prepared(chosen, store)
    source = CellClassifier.load(source_model(case, Trainer("cpu")))
    assert source.normalizer_spec.name == "reinhard"
    assert case.source_key == prepared(recipe(), store).source_key
    ours = run(recipe(), store)
    assert ours.model.normalizer_spec.name == "reinhard"
    assert not np.array_equal(probabilities(ours.predictions), probabilities(result.predictions))


# ---------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("edits", "aim", "message"),
    [
        ({}, "synthetic/0", "'synthetic/0' is both the target and a source"),
        (
            {"sources": [{"name": "synthetic", "options": {"per_class": 6}}]},
            "synthetic/0",
            "contains the same images as the source 'synthetic/0'",
        ),
        ({"sources": ["synthetic/0"]}, "synthetic", "'synthetic/0' is both the target and a source"),
        ({"few_shot": {"n": 601}}, "synthetic/1", "cannot give 601 support cells"),
        (
            {"few_shot": {"n": 1, "kind": "random"}},
            "synthetic/1",
            "few_shot.n to at least 2, or adapter='none'",
        ),
        ({"few_shot": {"n": 12}, "search": {"trials": 1}}, "synthetic/1", "A search with 3 folds needs"),
        ({"adapter": {"name": "mixed_source", "source_images": 99}}, "synthetic/1", "to at most 36"),
        ({}, "raabin", "'raabin' is read from a folder: say where with data="),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_done(tmp_path, edits, aim, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        recipe(**edits).run(aim, store=tmp_path / "store", progress=False)
    assert not (tmp_path / "store").exists()


def test_a_method_without_need_of_labels_runs_where_there_are_none_to_speak_of(store) -> None:
    few = {"n": 1, "kind": "random"}
    assert run(recipe(adapter="none", few_shot=few, search={"trials": 1}), store).labels_used == 0


def test_a_transformer_runs_from_end_to_end(tmp_path) -> None:
    chosen = recipe(backbone={"name": "test_vit"}, adapter={"name": "full", "epochs": 1})
    case = prepared(chosen, tmp_path)
    assert not batchnorms(case.offer.encoder)
    assert batchnorms(prepared(recipe(), tmp_path).offer.encoder)
    result = chosen.run(target(), store=tmp_path)
    assert len(result.predictions) == len(case.scored)
    assert np.isfinite(probabilities(result.predictions)).all()
