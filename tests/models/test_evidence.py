"""What a model knows of its labelled cells: stored whole, and refused if it is not that."""

import json
import shutil

import pandas as pd
import pytest
import torch

from cellda import CellClassifier
from cellda.errors import DataError
from cellda.evaluation.calibration import Calibration
from cellda.evaluation.predictions import EVIDENCE
from measured import measured
from tiny import same, small_model, state


def test_it_is_stored_with_the_model_and_changes_nothing_of_it(tmp_path):
    model = measured()
    loaded = CellClassifier.load(model.save(tmp_path / "m"))
    assert loaded.calibration == model.calibration
    one, other = loaded.evidence, model.evidence
    pd.testing.assert_frame_equal(one.cells, other.cells)
    assert (one.folds, one.searched) == (5, True)
    assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in other.tensors)
    assert same(state(loaded), state(model))
    without = measured()
    without.evidence = None
    assert without.identity == model.identity == loaded.identity
    without.calibration = None
    assert without.identity != model.identity


def test_a_model_without_it_removes_that_of_an_earlier_one(tmp_path):
    measured().save(tmp_path)
    assert (tmp_path / EVIDENCE).exists()
    small_model().save(tmp_path)
    assert not (tmp_path / EVIDENCE).exists()
    assert CellClassifier.load(tmp_path).evidence is None


@pytest.mark.parametrize("damage", ["missing", "another", "torn"])
def test_a_table_that_is_not_the_stored_one_is_refused(tmp_path, damage):
    measured().save(tmp_path / "m")
    table = tmp_path / "m" / EVIDENCE
    if damage == "missing":
        table.unlink()
    elif damage == "another":
        measured(11).save(tmp_path / "other")
        shutil.copy(tmp_path / "other" / EVIDENCE, table)
    else:
        table.write_bytes(table.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"evidence\.parquet is missing or not the one"):
        CellClassifier.load(tmp_path / "m")


def test_a_calibration_of_other_classes_is_refused(tmp_path):
    measured().save(tmp_path)
    file = tmp_path / "classifier.json"
    content = json.loads(file.read_text())
    content["calibration"]["shifts"] = [0.5]
    content.pop("checksum", None)
    file.write_text(json.dumps(content))
    with pytest.raises(DataError):
        CellClassifier.load(tmp_path)


def test_the_nearest_labelled_cells_by_cosine():
    evidence = measured(12).evidence
    asked = torch.randn(4, 128, generator=torch.Generator().manual_seed(2))
    rows, cosines = evidence.nearest(asked, 3)
    one, other = (part / part.norm(dim=1, keepdim=True) for part in (asked, evidence.embeddings))
    expected, order = (one @ other.T).sort(1, descending=True)
    assert torch.equal(rows, evidence.kept[order[:, :3]])
    assert torch.allclose(cosines, expected[:, :3], atol=1e-6)
    assert evidence.nearest(asked, 99)[0].shape == (4, 6)


def test_probabilities_are_calibrated_in_every_call():
    model = small_model()
    pixels = torch.randint(0, 255, (3, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        before = model.probabilities(pixels)
        model.calibration = Calibration(temperature=2.0)
        after = model.probabilities(pixels)
    expected = before.sqrt() / before.sqrt().sum(1, keepdim=True)
    assert torch.allclose(after, expected, atol=1e-6)
    told = model.predict(list(pixels))
    assert torch.allclose(told.probabilities, expected, atol=1e-4)
