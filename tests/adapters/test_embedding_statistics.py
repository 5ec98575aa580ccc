"""Embeddings aligned with those that the source model has seen."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf

from cellda.adapters import AdaptContext, Offer, TargetView, create
from cellda.adapters.embedding_statistics import moments
from cellda.errors import ConfigurationError
from cellda.models.judged import Gaussians
from cellda.training.loop import Trainer
from tiny import CLASSES, brightness_set, small_model, state

TRAINER = Trainer("cpu")
POOL = replace(brightness_set(per_class=6, seed=1), known_labels=None)
VIEW = TargetView(POOL, POOL)


def test_the_moments_are_those_of_the_classes_in_equal_parts() -> None:
    rng = np.random.default_rng(0)
    groups = rng.choice(3, 400, p=[0.7, 0.2, 0.1])
    centres = rng.normal(size=(3, 5)) * 3
    z = centres[groups] + rng.normal(size=(400, 5)) * [1, 2, 0.5, 1, 3]
    mean, std = moments(Gaussians.fitted(torch.from_numpy(z), torch.from_numpy(groups)))
    own = np.stack([z[groups == group].mean(0) for group in range(3)])
    within = LedoitWolf(assume_centered=True).fit((z - own[groups]) * np.sqrt(400 / 397)).covariance_
    np.testing.assert_allclose(mean, own.mean(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(std, np.sqrt(np.diag(within) + own.var(0)), rtol=1e-3)
    assert np.abs(own.mean(0) - z.mean(0)).max() > 0.3  # not those of all cells together


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_embeddings_are_shifted_and_scaled_by_shrunk_statistics(alpha) -> None:
    source, images = small_model(), brightness_set(per_class=3, seed=6)
    z, other = (TRAINER.embeddings(source, part).double().numpy() for part in (POOL, images))
    mean, std = (value.numpy() for value in moments(source.seen.gaussians))
    m, s = (1 - alpha) * mean + alpha * z.mean(0), (1 - alpha) * std + alpha * z.std(0, ddof=1)
    adapter = create("embedding_statistics", alpha=alpha)
    model = adapter.apply(deepcopy(source), VIEW, AdaptContext(TRAINER, 0))
    found = TRAINER.embeddings(model, images).numpy()
    np.testing.assert_allclose(found, (other - m) / s * std + mean, rtol=1e-3, atol=1e-4)
    if alpha == 0:
        np.testing.assert_allclose(found, other, rtol=1e-3, atol=1e-4)
    before, after = state(source), state(model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed <= {"embedding.weight", "embedding.bias"}


def test_images_that_hardly_differ_are_not_torn_apart() -> None:
    one = replace(POOL.subset(torch.zeros(30, dtype=torch.int64)))
    source = small_model()
    model = create("embedding_statistics", alpha=1.0).apply(
        deepcopy(source), TargetView(one, one), AdaptContext(TRAINER, 0)
    )
    ratio = model.embedding.weight / source.embedding.weight
    torch.testing.assert_close(ratio, torch.full_like(ratio, 10.0), rtol=1e-3, atol=1e-3)


def test_a_model_that_does_not_know_what_it_has_seen_and_a_pool_of_one_are_refused() -> None:
    model, adapter = small_model(), create("embedding_statistics")
    model.seen = None
    with pytest.raises(ConfigurationError, match="this model does not hold their statistics"):
        adapter.apply(model, VIEW, AdaptContext(TRAINER, 0))
    with pytest.raises(ConfigurationError, match="takes more than one image"):
        adapter.check(Offer((0,) * 6, 1, 0, CLASSES, (), model.encoder))
