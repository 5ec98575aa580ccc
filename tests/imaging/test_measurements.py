"""Measures of cells against drawn discs of known geometry and stain, and against what must not matter."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import cellda.datasets
from cellda.imaging.measurements import NAMES, measure

SMEAR, CYTOPLASM, NUCLEUS = (0.9, 0.85, 0.88), (0.75, 0.6, 0.75), (0.35, 0.2, 0.55)
RED_CELL = (0.85, 0.6, 0.55)


def drawn(*discs: tuple[float, float, float, tuple[float, float, float]], side: int = 96) -> torch.Tensor:
    """Discs `(row, column, radius, colour)` on an empty smear, later ones on top."""
    rows, columns = np.indices((side, side)) + 0.5
    image = np.ones((side, side, 3)) * SMEAR
    for row, column, radius, colour in discs:
        image[np.hypot(rows - row, columns - column) < radius] = colour
    return torch.from_numpy(image).permute(2, 0, 1).float()


def named(image: torch.Tensor) -> dict[str, float]:
    return dict(zip(NAMES, measure(image[None])[0].tolist(), strict=True))


@pytest.mark.parametrize("side", [96, 192])
def test_a_disc_has_the_shape_of_a_disc(side) -> None:
    scale = side / 96
    found = named(
        drawn(
            (48 * scale, 48 * scale, 33 * scale, CYTOPLASM),
            (48 * scale, 48 * scale, 22 * scale, NUCLEUS),
            side=side,
        )
    )
    assert found["nucleus_area"] == pytest.approx(np.pi * 22**2 / 96**2, rel=0.05)
    assert found["nucleus_roundness"] == pytest.approx(1, abs=0.1)
    assert found["nucleus_solidity"] > 0.95
    assert found["nucleus_eccentricity"] < 0.15
    assert (found["nucleus_lobes"], found["nucleus_parts"]) == (1, 1)
    assert found["nucleus_thickness"] == pytest.approx(1, abs=0.1)
    assert found["nucleus_spread"] == pytest.approx(np.sqrt(1 / 2), abs=0.03)
    assert found["cytoplasm_ratio"] == pytest.approx((33**2 - 22**2) / 22**2, rel=0.2)
    assert found["nucleus_offset"] < 0.05


def test_a_nucleus_at_the_edge_of_its_cell_is_off_its_centre() -> None:
    found = named(drawn((48, 48, 30, CYTOPLASM), (48, 56, 20, NUCLEUS)))
    assert found["nucleus_offset"] == pytest.approx(8 / 20, abs=0.1)


def test_lobes_and_parts_are_counted() -> None:
    apart = named(drawn((48, 48, 34, CYTOPLASM), (48, 34, 11, NUCLEUS), (48, 62, 11, NUCLEUS)))
    assert (apart["nucleus_lobes"], apart["nucleus_parts"]) == (2, 2)
    joined = named(
        drawn((48, 48, 34, CYTOPLASM), (48, 34, 12, NUCLEUS), (48, 62, 12, NUCLEUS), (48, 48, 4, NUCLEUS))
    )
    assert (joined["nucleus_lobes"], joined["nucleus_parts"]) == (2, 1)
    assert joined["nucleus_solidity"] < 0.95
    assert joined["nucleus_eccentricity"] > 0.8


def test_a_neighbour_is_not_measured() -> None:
    alone = named(drawn((48, 48, 30, CYTOPLASM), (48, 48, 20, NUCLEUS)))
    beside = named(drawn((48, 48, 30, CYTOPLASM), (48, 48, 20, NUCLEUS), (6, 6, 18, NUCLEUS)))
    for name in ("nucleus_area", "nucleus_parts", "nucleus_roundness", "nucleus_density_green"):
        assert beside[name] == pytest.approx(alone[name], rel=0.05)


def test_densities_are_those_of_the_drawn_colours() -> None:
    found = named(drawn((48, 48, 33, CYTOPLASM), (48, 48, 22, NUCLEUS)))
    light = np.array(SMEAR)
    nucleus, cytoplasm = -np.log(np.array(NUCLEUS) / light), -np.log(np.array(CYTOPLASM) / light)
    for number, channel in enumerate(("red", "green", "blue")):
        assert found[f"nucleus_density_{channel}"] == pytest.approx(nucleus[number], rel=0.05)
        assert found[f"cytoplasm_density_{channel}"] == pytest.approx(cytoplasm[number], abs=0.06)
        assert found[f"cytoplasm_share_{channel}"] == pytest.approx(
            found[f"cytoplasm_density_{channel}"] / nucleus.sum(), rel=0.05
        )
    assert found["nucleus_violet_high"] == pytest.approx(nucleus[1] - nucleus[2], abs=0.02)
    assert found["nucleus_eosin_high"] == pytest.approx(nucleus[1] - nucleus[0], abs=0.02)


def test_granules_are_told_from_clumps() -> None:
    plain = drawn((48, 48, 36, CYTOPLASM), (48, 48, 18, NUCLEUS))
    rows, columns = np.indices((96, 96))
    fine, coarse = plain.clone(), plain.clone()
    ring = (np.hypot(rows - 48, columns - 48) > 20) & (np.hypot(rows - 48, columns - 48) < 34)
    fine[:, torch.from_numpy(ring & ((rows + columns) % 2 == 0))] *= 0.8
    coarse[:, torch.from_numpy(ring & ((rows // 8 + columns // 8) % 2 == 0))] *= 0.8
    before, small, large = named(plain), named(fine), named(coarse)
    name = "cytoplasm_granules_green"
    assert small[name] > before[name] + 0.05
    name = "cytoplasm_clumps_green"
    assert large[name] - before[name] > 3 * abs(small[name] - before[name])


def test_images_without_a_nucleus_are_not_measured() -> None:
    found = measure(torch.stack([drawn(), drawn((48, 48, 22, NUCLEUS)), drawn((48, 48, 30, RED_CELL))]))
    assert found.isnan().all(1).tolist() == [True, False, True]


def test_black_corners_do_not_matter() -> None:
    plain = drawn((48, 48, 33, CYTOPLASM), (48, 48, 22, NUCLEUS))
    rows, columns = np.indices((96, 96))
    padded = plain.clone()
    padded[:, torch.from_numpy(rows + columns < 25)] = 0
    torch.testing.assert_close(measure(padded[None]), measure(plain[None]), rtol=0.02, atol=0.02)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 20), st.sampled_from(["flip", "turn", "light"]))
def test_neither_orientation_nor_light_matters(row, change) -> None:
    dataset = cellda.datasets.load("synthetic/1", per_class=4)
    image = dataset.read([row], 96)[0].float() / 255
    changed = {"flip": image.flip(2), "turn": image.rot90(1, (1, 2)), "light": image * 0.9}[change]
    torch.testing.assert_close(
        measure(changed[None]), measure(image[None]), rtol=2e-2, atol=2e-2, equal_nan=True
    )
