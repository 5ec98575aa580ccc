"""Rendered cells of drawn laboratories: the same everywhere, one of each class from each, and truly different ones."""

import statistics
from dataclasses import fields
from pathlib import Path

import pytest
import torch

import cellda.datasets
from cellda.data.pixel_cache import cached_framed
from cellda.datasets.rendering import DOMAINS, SUBSTRATES, Domain
from cellda.datasets.rendering.laboratories import drawn_laboratory
from cellda.errors import ConfigurationError
from cellda.framing.spec import FramingSpec
from cellda.runtime.storage.store import Store
from tiny import CLASSES

DRAWN = [drawn_laboratory(f"test {number}") for number in range(300)]


def test_every_laboratory_gives_one_cell_of_each_class_and_is_a_group() -> None:
    cells = cellda.datasets.load("randomised", laboratories=4)
    assert cells.class_counts() == dict.fromkeys(CLASSES, 4)
    assert list(cells.table["path"][5:8]) == ["00000/neutrophil", "00001/basophil", "00001/eosinophil"]
    assert cells.table.groupby("group").size().tolist() == [6] * 4


def test_an_image_is_the_same_alone_in_any_batch_and_whatever_the_number_of_laboratories() -> None:
    few, many = (cellda.datasets.load("randomised", laboratories=number) for number in (3, 7))
    together = few.read(range(18), 48)
    assert together.shape == (18, 3, 48, 48)
    order = torch.randperm(18, generator=torch.Generator().manual_seed(1)).tolist()
    torch.testing.assert_close(many.read(order, 48), together[order], rtol=0, atol=0)
    assert few.read([], 48).shape == (0, 3, 48, 48)
    assert few.fingerprint != many.fingerprint


def test_seeds_give_other_cells_and_the_same_text_the_same_laboratory() -> None:
    first, second = (cellda.datasets.load("randomised", laboratories=1, seed=seed) for seed in (0, 1))
    assert first.fingerprint != second.fingerprint
    assert (first.read(range(6), 48) != second.read(range(6), 48)).any()
    assert drawn_laboratory("0|randomised|0") == drawn_laboratory("0|randomised|0")
    # On every machine: Python's generator and its order of use are part of the contract.
    assert drawn_laboratory("contract").field == pytest.approx(FIELD)
    assert drawn_laboratory("contract").jpeg == JPEG


FIELD, JPEG = 37.70792017080357, (76, 84)


@pytest.mark.parametrize(
    "field", [f.name for f in fields(Domain) if f.name not in ("title", "uptake", "cast")]
)
def test_every_property_differs_between_laboratories_within_physical_bounds(field: str) -> None:
    values = [getattr(domain, field) for domain in DRAWN]
    assert len(set(values)) > 1
    for value in values:
        for number in value if isinstance(value, tuple) else (value,):
            assert number >= 0
    for domain in DRAWN:
        assert max(domain.illuminant) <= 1
        assert domain.defocus[0] < domain.defocus[1]
        assert 1 <= domain.jpeg[0] <= domain.jpeg[1] <= 98
        assert set(domain.uptake) == set(SUBSTRATES)


@pytest.mark.parametrize("field", ["field", "photons", "gamma", "crowding", "exposure", "vignette"])
def test_drawn_laboratories_surround_the_ten_fixed_ones(field: str) -> None:
    drawn, fixed = ([getattr(domain, field) for domain in domains] for domains in (DRAWN, DOMAINS))
    assert min(drawn) <= statistics.quantiles(fixed, n=10)[0]
    assert max(drawn) >= statistics.quantiles(fixed, n=10)[-1] * 0.95


@pytest.mark.parametrize("laboratories", [0, -1, 100_001])
def test_impossible_numbers_and_folders_are_refused(laboratories: int, tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="from 1 to 100,000"):
        cellda.datasets.load("randomised", laboratories=laboratories)
    with pytest.raises(ConfigurationError, match="reads no folder"):
        cellda.datasets.load("randomised", tmp_path)


def test_laboratories_of_different_magnification_have_no_common_scale(tmp_path: Path) -> None:
    """A nucleus that is large in one laboratory is usual in another: neither takes the size of the other's."""
    cells, store = cellda.datasets.load("randomised", laboratories=5), Store(tmp_path)
    assert cached_framed(cells, 32, store, FramingSpec(name="cell")).framing.model_dump()["scale"] is None
    same = cellda.datasets.load("synthetic/0", per_class=5)
    assert cached_framed(same, 32, store, FramingSpec(name="cell")).framing.model_dump()["scale"]
