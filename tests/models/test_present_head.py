"""The head that predicts only classes that can occur, and the model that has it."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from cellda import CellClassifier
from cellda.errors import ConfigurationError, DataError, UnknownNameError
from cellda.models import heads
from cellda.models.heads.base import ABSENT, absent
from cellda.models.heads.linear import Linear
from cellda.models.heads.present import Present
from cellda.models.heads.prior import Prior
from cellda.models.saved import described
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec
from cellda.taxonomies.base import UNLABELLED
from cellda.training.objective import cross_entropy
from described import describe
from described import described as fields
from tiny import CLASSES

BACKBONE = Backbone(name="test_efficientnet", weights="none", image_size=32)
KEPT = ("lymphocyte", "neutrophil")
PIXELS = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def a_model(head: heads.base.Head | None = None) -> CellClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CellClassifier(BACKBONE, NormalizerSpec(name="identity")).eval()
    if head is not None:
        model.head = head
    return model


subsets = st.sets(st.integers(0, 5), min_size=2).map(sorted)
numbers = st.lists(st.floats(-60, 60, width=32), min_size=18, max_size=18)


def head_of(logits: torch.Tensor) -> Linear:
    """A head that gives these logits `(N, 6)` for the rows of the identity."""
    head = Linear(len(logits), 6)
    head.set_classes(range(6), logits.T.contiguous(), torch.zeros(6))
    return head


@given(subsets, numbers)
def test_probabilities_are_those_of_the_classes_that_can_occur_renormalised(kept, values) -> None:
    logits = torch.tensor(values).view(3, 6)
    head = Present.around(head_of(logits), kept)
    found = head(torch.eye(3)).softmax(1)
    # Independent: probabilities of all classes in double precision, then divided by the sum of those that are left.
    exact = np.exp(logits.double().numpy() - logits.double().numpy().max(1, keepdims=True))
    exact /= exact.sum(1, keepdims=True)
    wanted = np.zeros_like(exact)
    wanted[:, kept] = exact[:, kept] / exact[:, kept].sum(1, keepdims=True)
    np.testing.assert_allclose(found.detach().numpy(), wanted, atol=1e-5)
    gone = [number for number in range(6) if number not in kept]
    assert (found[:, gone] == 0).all()
    assert absent(head(torch.eye(3))).nonzero().flatten().tolist() == gone


@given(subsets, numbers, st.sampled_from([0.0, 0.1, 0.5]), st.data())
def test_cross_entropy_is_that_of_the_classes_that_can_occur(kept, values, smoothing, data) -> None:
    logits = torch.tensor(values).view(3, 6)
    labels = data.draw(st.lists(st.sampled_from([UNLABELLED, *range(len(kept))]), min_size=2, max_size=2))
    labels = torch.tensor([*labels, 0])
    numbered = torch.tensor([kept[label] if label != UNLABELLED else UNLABELLED for label in labels.tolist()])
    one, other = (logits.clone().requires_grad_() for _ in range(2))
    gone = torch.ones(6, dtype=torch.bool)
    gone[kept] = False
    found = cross_entropy(one.masked_fill(gone, ABSENT), numbered, smoothing)
    wanted = F.cross_entropy(other[:, kept], labels, label_smoothing=smoothing, ignore_index=UNLABELLED)
    torch.testing.assert_close(found, wanted)
    found.backward()
    wanted.backward()
    torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_logit_of_an_absent_class_is_exact_in_every_precision(precision) -> None:
    logits = torch.zeros(1, 6).masked_fill(torch.arange(6) < 2, ABSENT).to(precision)
    assert absent(logits).tolist() == [True, True, False, False, False, False]
    assert logits.float().softmax(1)[0].tolist() == [0, 0, *[0.25] * 4]
    entropy = -(logits.float().softmax(1) * logits.float().log_softmax(1)).sum()
    assert float(entropy) == pytest.approx(np.log(4))  # 0 times minus infinity would be NaN


def test_predictions_of_a_narrowed_model_are_renormalised() -> None:
    model = a_model()
    whole = model.predict(PIXELS)
    narrowed = model.with_present(KEPT[::-1])
    assert narrowed is model
    assert model.present == KEPT
    found = model.predict(PIXELS)
    assert found.classes == CLASSES
    kept = [CLASSES.index(name) for name in KEPT]
    wanted = torch.zeros_like(whole.probabilities)
    wanted[:, kept] = whole.probabilities[:, kept] / whole.probabilities[:, kept].sum(1, keepdim=True)
    torch.testing.assert_close(found.probabilities, wanted)
    assert set(found.labels) <= {*KEPT, None}


def test_nothing_changes_where_all_classes_can_occur() -> None:
    model = a_model()
    assert model.present is None
    assert model.with_present(CLASSES).head.name == "mlp"
    assert "present" not in heads.create("mlp", 8, 6).description


@pytest.mark.parametrize("made", ["mlp", "prior", "prior of narrowed"])
def test_a_saved_model_remembers_which_classes_can_occur(tmp_path, made) -> None:
    model = a_model()
    if made == "prior of narrowed":
        model.with_present(("monocyte", *KEPT))
    if made != "mlp":
        model.head = Prior.around(model.head, torch.rand(6) + 0.1)
    model.with_present(KEPT)
    kept = CellClassifier.load(model.save(tmp_path))
    assert kept.present == KEPT
    assert torch.equal(kept.predict(PIXELS).probabilities, model.predict(PIXELS).probabilities)
    assert described(tmp_path)[1].present == KEPT
    assert kept.identity == model.identity != a_model().identity


def test_a_model_can_be_narrowed_and_not_widened() -> None:
    model = a_model().with_present(("monocyte", *KEPT))
    before = deepcopy(model.head)
    with pytest.raises(
        ConfigurationError,
        match=r"made for images that show only lymphocyte, monocyte, neutrophil.*narrowed, not widened to basophil",
    ):
        model.with_present(("basophil", *KEPT))
    with pytest.raises(
        ConfigurationError, match=r"at least two classes.*of lymphocyte, monocyte, neutrophil; got monocyte"
    ):
        model.with_present(["monocyte"])
    with pytest.raises(
        UnknownNameError, match="'monocite' is not a class of this model; did you mean 'monocyte'"
    ):
        model.with_present(("monocite", "neutrophil"))
    assert model.head.description == before.description
    assert model.with_present(KEPT).present == KEPT
    assert model.head.inner.name == "mlp"


@pytest.mark.parametrize("wrong", [[1], [1, 1], [3, 1], [1, 6], [-1, 2], []])
def test_a_head_for_other_than_two_classes_is_refused(wrong) -> None:
    with pytest.raises(
        ConfigurationError, match="at least two different numbers of classes in order, from 0 to 5"
    ):
        heads.create("present", 8, 6, present=wrong, inner={"name": "mlp"})


@pytest.mark.parametrize(
    "head",
    [
        {"name": "present", "present": [1, 9], "inner": {"name": "mlp"}},
        {"name": "present", "present": [1], "inner": {"name": "mlp"}},
        {"name": "present", "present": "1,3", "inner": {"name": "mlp"}},
        {"name": "present", "present": [1, 3]},
        {"name": "present", "present": [1, 3], "inner": {"name": "mlp", "classes": 2}},
    ],
)
def test_a_damaged_description_is_refused(tmp_path, head) -> None:
    a_model().with_present(KEPT).save(tmp_path)
    describe(tmp_path, {**fields(tmp_path), "head": head})
    with pytest.raises(DataError, match="could not be read"):
        CellClassifier.load(tmp_path)
