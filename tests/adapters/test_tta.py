"""Embeddings that do not depend on a cell's orientation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import cellda.adapters
from cellda import CellClassifier, Recipe
from cellda.adapters import Offer
from cellda.errors import ConfigurationError
from cellda.imaging.symmetries import dihedral_views
from cellda.models.spec import Backbone
from cellda.models.timm_names import encoder_structure
from cellda.normalizers.spec import NormalizerSpec
from tiny import CLASSES

OFFER = Offer((5,) * 6, 40, 0, CLASSES, (), encoder_structure("test_efficientnet"))


@pytest.fixture(scope="module")
def model() -> CellClassifier:
    torch.manual_seed(0)
    backbone = Backbone(name="test_efficientnet", weights="none", image_size=32)
    plain = CellClassifier(backbone, NormalizerSpec(name="identity")).eval()
    return cellda.adapters.create("tta").adapt(plain, None, None)


def symmetries(images: np.ndarray) -> list[np.ndarray]:
    """With numpy: four rotations of the image, and of its mirror image."""
    return [np.rot90(side, turns, axes=(2, 3)) for side in (images, images[..., ::-1]) for turns in range(4)]


@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(1, 6), st.booleans())
def test_the_views_are_the_symmetries_of_the_square(count, side, channels_last) -> None:
    images = torch.arange(count * 3 * side * side, dtype=torch.float32).view(count, 3, side, side)
    kept = torch.channels_last if channels_last else torch.contiguous_format
    found = list(dihedral_views(images.contiguous(memory_format=kept)))
    assert torch.equal(found[0], images)
    assert {view.numpy().tobytes() for view in found} == {
        np.ascontiguousarray(view).tobytes() for view in symmetries(images.numpy())
    }


def test_an_embedding_is_the_mean_over_all_symmetries(model) -> None:
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        views = [
            model.embedding(model.encoder((torch.tensor(view.copy()) - model.mean) / model.std))
            for view in symmetries(images.numpy())
        ]
        torch.testing.assert_close(model.embed(images), sum(views) / 8, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(model.embed(images), views[0], atol=1e-4)


def test_a_cell_is_classified_alike_however_it_lies_also_after_saving(model, tmp_path) -> None:
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    expected = model.predict(images).probabilities
    loaded = CellClassifier.load(model.save(tmp_path))
    for view in symmetries(images.numpy()):
        found = loaded.predict(torch.tensor(view.copy())).probabilities
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_training_looks_at_one_view(model) -> None:
    seen = []
    handle = model.encoder.register_forward_hook(lambda *_: seen.append(1))
    with handle, torch.no_grad():
        model.train().embed(torch.rand(2, 3, 32, 32))
        assert len(seen) == 1
        model.eval().embed(torch.rand(2, 3, 32, 32))
    assert len(seen) == 9


def test_what_comes_behind_pays_eight_times_and_works_on_embeddings() -> None:
    single, chain = (cellda.adapters.build(names) for names in ("ncm", ("tta", "ncm")))
    assert chain.image_passes(OFFER) == 8 * single.image_passes(OFFER) == 8 * 30
    full = cellda.adapters.build(("full", "tta", "ncm"))
    assert full.image_passes(OFFER) == cellda.adapters.create("full").image_passes(OFFER) + 8 * 30
    assert (single.views, chain.views, full.views) == (1, 8, 8)
    for names in (("tta", "full"), ("tta", "ncm", "lp_ft")):
        with pytest.raises(
            ConfigurationError, match=f"'{names[-1]}' changes the encoder, and after 'tta'.*several views"
        ):
            Recipe(adapter=names)
