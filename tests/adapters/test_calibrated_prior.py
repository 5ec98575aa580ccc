"""Calibration on source cells, and the class shares that follow."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from cellda.adapters import AdaptContext, TargetView, create
from cellda.adapters.families.calibration import RIDGE, calibrated
from cellda.adapters.families.embeddings import regression
from cellda.imaging.augment import random_strong
from cellda.models import heads
from cellda.models.heads.prior import Prior
from cellda.models.heads.tempered import Tempered
from cellda.training.loop import Trainer
from tiny import brightness_set, small_model

TRAINER = Trainer("cpu")
SOURCES = (brightness_set(per_class=6, seed=2), brightness_set(per_class=4, classes=5, seed=3))
POOL = replace(brightness_set(per_class=6, seed=1), known_labels=None)


def scaling(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Temperature and biases by scipy."""

    def loss(free: np.ndarray) -> float:
        fit = -log_softmax(logits / np.exp(free[0]) + free[1:], axis=1)[range(len(labels)), labels].mean()
        return fit + RIDGE * (free**2).sum()

    found = minimize(loss, np.zeros(1 + logits.shape[1]), tol=1e-12).x
    return np.exp(found[0]), found[1:]


def test_calibration_is_the_minimum_that_scipy_finds_and_undoes_a_distortion() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(4000, 6)) * 1.5
    labels = np.array([rng.choice(6, p=row) for row in softmax(true, axis=1)])
    bias = np.array([1.0, -0.5, 0.0, 0.0, 0.5, -1.0])
    logits = 3 * (true - bias)
    temperature, found = calibrated(torch.from_numpy(logits), torch.from_numpy(labels), torch.ones(6).bool())
    wanted = scaling(logits, labels)
    assert temperature == pytest.approx(wanted[0], rel=1e-3)
    np.testing.assert_allclose(found, wanted[1], atol=2e-3)
    assert temperature == pytest.approx(3.0, rel=0.1)
    np.testing.assert_allclose(found - found.mean(), bias - bias.mean(), atol=0.2)


def test_cells_that_are_all_right_do_not_make_it_certain_and_unknown_classes_stay() -> None:
    logits = torch.eye(6, dtype=torch.float64)[[0, 1, 2] * 10] * 2
    known = torch.tensor([True, True, True, False, False, False])
    temperature, bias = calibrated(logits, torch.tensor([0, 1, 2] * 10), known)
    assert 0.02 < temperature < 1
    assert bias[3:].tolist() == [0, 0, 0]


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_it_is_its_formula(smoothing) -> None:
    source, known = small_model(), brightness_set(per_class=10, seed=4)
    embeddings = TRAINER.embeddings(source, known)
    source.head = regression(embeddings, known.labels, 1000.0, width=embeddings.shape[1], classes=6)
    adapter = create("calibrated_prior", source_images=30, smoothing=smoothing)
    context = AdaptContext(TRAINER, 7, SOURCES)
    generator, quick = torch.Generator().manual_seed(7), source.for_inference()
    batches = [
        part.raw(rows).float() / 255
        for part in adapter.cells(context)
        for rows in torch.split(torch.arange(len(part)), TRAINER.plan.inference_batch)
    ]
    with torch.no_grad():
        logits = torch.cat([quick(random_strong(images, generator)) for images in batches])
    labels = torch.cat([part.labels for part in adapter.cells(context)]).numpy()
    temperature, bias = scaling(logits.double().numpy(), labels)
    raw = POOL.raw(range(len(POOL)))
    with torch.no_grad():
        scaled = quick(raw.float() / 255).double().numpy() / temperature + bias
    p, old = softmax(scaled, axis=1), np.bincount(labels, minlength=6) / len(labels)
    new = old
    for _ in range(1000):
        r = p * new / old
        r /= r.sum(1, keepdims=True)
        new = (r.sum(0) + smoothing * len(p) / 6) / (len(p) * (1 + smoothing))
    model = adapter.apply(deepcopy(source), TargetView(POOL, POOL), context)
    wanted = p * new / old
    found = TRAINER.probabilities(model, POOL).numpy()
    np.testing.assert_allclose(found, wanted / wanted.sum(1, keepdims=True), atol=3e-3)
    assert np.abs(found - TRAINER.probabilities(source, POOL).numpy()).max() > 0.05


def test_held_out_cells_are_preferred_and_come_again_where_there_are_few() -> None:
    held = brightness_set(per_class=1, seed=8)
    adapter = create("calibrated_prior", source_images=20)
    context = AdaptContext(TRAINER, 0, SOURCES, (held,))
    parts = adapter.cells(context)
    assert sum(map(len, parts)) == 20
    assert all(part.pixels is held.pixels for part in parts)
    rows = torch.cat([part.rows for part in parts])
    assert set(rows.bincount().tolist()) == {3, 4}  # all six before any comes again
    without = adapter.cells(replace(context, held_out=()))
    assert {id(part.pixels) for part in without} == {id(part.pixels) for part in SOURCES}


def test_the_head_scales_and_weighs() -> None:
    inner = heads.create("linear", 4, 6)
    head = Prior.around(Tempered.around(inner, 2.5), torch.tensor([1.0, 2.0, 3.0, 1.0, 1.0, 0.5]))
    z = torch.randn(5, 4)
    with torch.no_grad():
        p = inner(z).softmax(1).numpy()
        wanted = p ** (1 / 2.5) * [1, 2, 3, 1, 1, 0.5]
        np.testing.assert_allclose(head(z).softmax(1), wanted / wanted.sum(1, keepdims=True), rtol=1e-4)
