"""Labelled cells are predicted by models that have not learned from them; calibration and evidence follow from that."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import cellda.datasets
from cellda import adapt
from cellda.adapters.base import TargetView
from cellda.data.own_cells import OwnCells
from cellda.evaluation.calibration import fitted
from cellda.evaluation.predictions import class_indices, probabilities
from cellda.experiment import cross_validation
from cellda.experiment.cross_validation import parts
from cellda.experiment.making import make_ready
from cellda.experiment.run import Run
from cellda.experiment.workflow import run
from cellda.selection.candidates import Candidates
from cellda.training.loop import Trainer
from tiny import prepared, quiet, recipe, target


def test_every_labelled_cell_is_held_out_once_and_groups_stay_together(tmp_path):
    whole = prepared(recipe(), tmp_path)
    groups = tuple(f"slide {number // 3}" for number in range(len(whole.draw.groups)))
    run_ = replace(whole, draw=replace(whole.draw, groups=groups))
    folds = parts(run_)
    held = [row for _, rows in folds for row in rows]
    assert sorted(held) == list(range(18))
    own = np.array(run_.support_groups)
    for learned, rows in folds:
        assert not set(own[learned]) & set(own[rows])
        assert sorted([*learned, *rows]) == list(range(18))


def test_no_model_predicts_a_cell_that_it_has_learned_from(tmp_path, monkeypatch):
    seen = []

    class Watched(Candidates):
        def probabilities(self, candidate, train, images, rows):
            seen.append((set(train), set(rows)))
            assert isinstance(self._target, TargetView)
            return super().probabilities(candidate, train, images, rows)

    monkeypatch.setattr(cross_validation, "Candidates", Watched)
    result = run(recipe(calibration="temperature"), target(), store=tmp_path, progress=False)
    assert len(seen) == 3  # three cells of a class
    assert all(not learned & held for learned, held in seen)
    assert set().union(*(held for _, held in seen)) == set(range(18))
    held = result.cross_validation
    assert list(held["path"]) == list(result.record.support_files)
    assert len(held) == 18


def test_a_run_is_calibrated_by_its_labelled_cells(tmp_path):
    raw = run(recipe(), target(), store=tmp_path, progress=False)
    assert raw.record.calibration is None
    assert raw.cross_validation is None
    for kind in ("temperature", "classwise"):
        result = run(recipe(calibration=kind), target(), store=tmp_path, progress=False)
        held = result.cross_validation
        expected = fitted(probabilities(held), class_indices(held), kind)
        assert result.record.calibration == result.model.calibration == expected
        told = expected.of(raw.predictions)
        np.testing.assert_allclose(probabilities(result.predictions), probabilities(told), atol=1e-5)
        assert bool(result.record.calibration.shifts) == (kind == "classwise")


def test_without_labels_an_adaptation_is_as_sure_as_the_network_was(tmp_path):
    lame = {"name": "lame", "neighbours": 3, "strength": 2.0}
    before = run(recipe(adapter="none"), target(), store=tmp_path, progress=False)
    plain = run(recipe(adapter=lame), target(), store=tmp_path, progress=False)
    found = run(recipe(adapter=lame, calibration="temperature"), target(), store=tmp_path, progress=False)
    sure = probabilities(before.predictions).max(1).mean()
    assert probabilities(found.predictions).max(1).mean() == pytest.approx(sure, abs=1e-3)
    assert abs(probabilities(plain.predictions).max(1).mean() - sure) > 1e-2
    assert list(found.predictions["predicted"]) == list(plain.predictions["predicted"])
    assert found.labels_used == 0


def test_an_adapter_without_labels_is_measured_on_all_labelled_cells(tmp_path):
    model = adapt(recipe(adapter="none"), target(), store=tmp_path, progress=False)
    assert model.evidence.folds == 0
    assert len(model.evidence.cells) == len(target())
    assert model.calibration is None


def test_adapting_measures_unless_it_is_told_not_to(tmp_path):
    cells = target()
    model = adapt(recipe(calibration="temperature"), cells, store=tmp_path, progress=False)
    assert len(model.evidence.cells) == len(cells)
    assert model.evidence.folds == 5
    assert model.evidence.looks.shape == (len(cells), 3, 64, 64)
    with torch.no_grad():
        own = model.embedded(cells.read(model.evidence.kept.tolist(), 32))
    assert torch.allclose(own, model.evidence.embeddings, atol=1e-4)
    quick = adapt(recipe(), cells, store=tmp_path, measure=False, progress=False)
    assert quick.evidence is None
    again = adapt(recipe(), cells, store=tmp_path, progress=False)  # not the unmeasured one
    assert again.evidence is not None
    assert all(
        torch.equal(one, other) for one, other in zip(quick.parameters(), again.parameters(), strict=True)
    )


def test_too_few_cells_are_said(tmp_path):
    two = cellda.datasets.load("synthetic/1", per_class=1)
    with pytest.warns(UserWarning, match="too few to leave any out"):
        model = adapt(recipe(adapter={"name": "head_only", "epochs": 1}), two, store=tmp_path, progress=False)
    assert model.evidence is None


def test_labels_of_the_query_play_no_part(tmp_path):
    whole = prepared(recipe(calibration="temperature"), tmp_path)
    trainer = Trainer("cpu")
    make_ready([whole], trainer)
    assert whole.measured
    own = Run.own(recipe(), OwnCells(target()).labelled, [], quiet(tmp_path), measured=True)
    assert own.measured
    assert own.key != Run.own(recipe(), target(), [], quiet(tmp_path)).key
    assert isinstance(whole.key, dict)
    assert whole.key != prepared(recipe(), tmp_path).key


def test_evidence_holds_what_the_calibrated_model_says(tmp_path):
    result = run(recipe(calibration="temperature"), target(), store=tmp_path, progress=False)
    told = result.model.calibration.of(result.cross_validation)
    pd.testing.assert_frame_equal(
        result.model.evidence.cells.reset_index(drop=True),
        told.reset_index(drop=True),
        check_exact=False,
        atol=1e-6,
    )
