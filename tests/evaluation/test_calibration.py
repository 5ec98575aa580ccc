"""Calibration: what is said is what is true, and few cells change little."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_calibration_error

from cellda.evaluation.calibration import Calibration, fitted, reliability, with_confidence
from cellda.evaluation.metrics import expected_calibration_error
from predicted import table_of

CLASSES = ("basophil", "eosinophil", "neutrophil")


def cells(number: int, temperature: float, shifts=(0.0, 0.0, 0.0), seed: int = 0):
    """Probabilities of a model whose logits are too large by a factor and shifted, and labels by the true ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (number, 3))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([rng.choice(3, p=row) for row in true])
    said = torch.tensor((logits - np.array(shifts)) * temperature).softmax(1).numpy()
    return said, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_a_model_that_is_too_sure_is_found(temperature):
    found = fitted(*cells(6000, temperature), "temperature")
    assert found.temperature == pytest.approx(temperature, rel=0.06)
    assert found.shifts == ()


def test_shifts_of_classes_are_found():
    found = fitted(*cells(6000, 1.0, (0.8, 0.0, -0.8)), "classwise")
    told = np.array(found.shifts) - np.mean(found.shifts)
    assert told == pytest.approx([0.8, 0.0, -0.8], abs=0.12)


def test_few_cells_change_little_and_none_nothing():
    sure, labels = np.array([[0.9, 0.05, 0.05]]), np.array([1])
    assert 1 < fitted(sure, labels, "temperature").temperature < 2
    assert fitted(np.zeros((0, 3)), np.zeros(0, int), "classwise") == Calibration()
    assert fitted(sure, labels, "none") == Calibration()


def test_it_minimises_the_penalised_loss():
    said, labels = cells(60, 2.0, (0.3, 0.0, 0.0))
    found = fitted(said, labels, "classwise")

    def loss(log_temperature: float, shifts: np.ndarray) -> float:
        scaled = torch.tensor(np.log(said) / np.exp(log_temperature) + shifts)
        told = torch.nn.functional.cross_entropy(scaled, torch.tensor(labels), reduction="sum")
        return float(told) + (log_temperature / 0.5) ** 2 / 2 + float(((shifts / 0.5) ** 2).sum()) / 2

    at, shifts = np.log(found.temperature), np.array(found.shifts)
    best = loss(at, shifts)
    for step in (-0.05, 0.05):
        assert best <= loss(at + step, shifts)
        for number in range(3):
            assert best <= loss(at, shifts + step * np.eye(3)[number])


@given(st.floats(0.05, 1000), st.integers(0, 1000))
def test_a_temperature_keeps_the_order_and_zeros(temperature, seed):
    found = np.random.default_rng(seed).dirichlet([0.5] * 4, 20)
    found[:, 2] = 0
    found /= found.sum(1, keepdims=True)
    after = Calibration(temperature=temperature).applied(torch.from_numpy(found))
    assert torch.allclose(after.sum(1), torch.ones(20, dtype=torch.float64))
    assert (after[:, 2] == 0).all()
    assert (after.argmax(1).numpy() == found.argmax(1)).all()


@given(st.floats(0.45, 0.95), st.integers(0, 1000))
def test_the_mean_confidence_is_the_one_that_was_asked_for(mean, seed):
    found = np.random.default_rng(seed).dirichlet([0.2] * 3, 50)
    how = with_confidence(found, mean)
    after = how.applied(torch.from_numpy(np.maximum(found, 1e-12))).amax(1).mean()
    assert how.temperature in (0.05, 1000.0) or float(after) == pytest.approx(mean, abs=1e-3)


def test_reliability_is_the_calibration_error_cell_by_cell():
    said, labels = cells(300, 2.0)
    table = table_of(said, labels, CLASSES)
    bins = reliability(table)
    gap = (bins["confidence"] - bins["accuracy"]).abs()
    told = float((gap * bins["cells"]).sum() / bins["cells"].sum())
    assert bins["cells"].sum() == 300
    expected = multiclass_calibration_error(
        torch.tensor(said), torch.tensor(labels), num_classes=3, n_bins=15, norm="l1"
    )
    assert told == pytest.approx(float(expected), abs=1e-6)
    assert expected_calibration_error(table) == pytest.approx(told, abs=1e-5)


def test_a_table_is_calibrated_as_its_probabilities_are():
    said, labels = cells(50, 3.0)
    table = table_of(said, labels, CLASSES)
    how = Calibration(temperature=3.0)
    after = how.of(table)
    expected = how.applied(torch.from_numpy(said)).numpy()
    assert np.allclose(after[[f"p_{name}" for name in CLASSES]].to_numpy(), expected, atol=1e-6)
    assert list(after["predicted"]) == list(table["predicted"])
    shifted = Calibration(shifts=(9.0, 0.0, 0.0)).of(table)
    assert (shifted["predicted"] == "basophil").sum() > (table["predicted"] == "basophil").sum() + 10
    assert isinstance(after, pd.DataFrame)
