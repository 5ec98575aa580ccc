"""The drawn dataset: the same picture wherever it is drawn, cells of the right shape, optics by the book."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage.measure import regionprops

import cellda.datasets
from cellda.datasets.rendering import DOMAINS, SUBSTRATES, CellKey, Scene, draw_scene
from cellda.datasets.rendering.optics import (
    OPTICS_DRAWS,
    binding,
    blurred,
    photographed,
    read_out,
    transmitted,
)
from cellda.datasets.rendering.random_numbers import Draws
from cellda.errors import ConfigurationError
from tiny import CLASSES

EACH = 12


def cell_numbers(label: str, per_class: int) -> range:
    first = CLASSES.index(label) * per_class
    return range(first, first + per_class)


@pytest.fixture(scope="module")
def scenes() -> dict[str, Scene]:
    """Undegraded scenes of domain 0, a class each."""
    return {
        label: draw_scene([CellKey(code, i, "shapes") for i in range(EACH)], DOMAINS[0], 160)
        for code, label in enumerate(CLASSES)
    }


def test_table_lists_every_class_with_drawn_paths_and_no_groups() -> None:
    cells = cellda.datasets.load("synthetic/3", per_class=4)
    assert cells.full_name == "synthetic/3"
    assert cells.class_counts() == dict.fromkeys(CLASSES, 4)
    assert cells.table["path"].iloc[-1] == "neutrophil/00003"
    assert cells.table["group"].isna().all()
    assert cells.table["box"].isna().all()
    assert cellda.datasets.load("synthetic").full_name == "synthetic/0"


@pytest.mark.parametrize("variant", ["0", "2", "3"])
def test_an_image_is_the_same_alone_in_any_batch_and_at_any_place(variant: str) -> None:
    cells = cellda.datasets.load(f"synthetic/{variant}", per_class=5)
    together = cells.read(range(30), 64)
    assert together.dtype == torch.uint8
    assert together.shape == (30, 3, 64, 64)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1)).tolist()
    torch.testing.assert_close(cells.read(order, 64), together[order], rtol=0, atol=0)
    for index in (0, 7, 29):
        torch.testing.assert_close(cells.read([index], 64)[0], together[index], rtol=0, atol=0)


def test_cells_do_not_depend_on_how_many_are_asked_for() -> None:
    few, many = (cellda.datasets.load("synthetic/1", per_class=n) for n in (2, 9))
    torch.testing.assert_close(few.read([3], 48), many.read([10], 48), rtol=0, atol=0)


def test_seed_variant_class_and_number_each_give_another_image() -> None:
    images = torch.cat(
        [
            cellda.datasets.load("synthetic/0", per_class=2).read([0, 1, 2], 48),
            cellda.datasets.load("synthetic/0", per_class=2, seed=1).read([0], 48),
            cellda.datasets.load("synthetic/7", per_class=2).read([0], 48),
        ]
    )
    assert len({image.numpy().tobytes() for image in images}) == 5


def test_drawing_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    cellda.datasets.load("synthetic/0", per_class=1).read([0], 32)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("variant", "least"), [("0", 0.97), ("2", 0.85), ("8", 0.85)])
def test_sizes_show_the_same_scene(variant: str, least: float) -> None:
    cells = cellda.datasets.load(f"synthetic/{variant}", per_class=1)
    small, large = (cells.read(range(6), size).float() for size in (96, 192))
    for one, other in zip(small, F.avg_pool2d(large, 2), strict=True):
        assert np.corrcoef(one.flatten(), other.flatten())[0, 1] > least


def test_fingerprint_follows_everything_the_pictures_depend_on() -> None:
    def fingerprint(name: str = "synthetic/0", **options: int) -> str:
        return cellda.datasets.load(name, **options).fingerprint

    assert fingerprint() == fingerprint()
    assert (
        len({fingerprint(), fingerprint("synthetic/1"), fingerprint(seed=1), fingerprint(per_class=7)}) == 4
    )


def test_domains_differ() -> None:
    assert len({repr(dataclasses.replace(domain, title="")) for domain in DOMAINS}) == 10


@pytest.mark.parametrize("variant", ["10", "a", "00"])
def test_an_unknown_variant_is_refused_with_the_valid_ones(variant: str) -> None:
    with pytest.raises(ConfigurationError, match=r"0, 1, 2, 3, 4, 5, 6, 7, 8, 9") as caught:
        cellda.datasets.load(f"synthetic/{variant}")
    assert f"synthetic/{variant}" in str(caught.value)


def test_a_folder_and_an_empty_class_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="reads no folder"):
        cellda.datasets.load("synthetic/0", tmp_path)
    with pytest.raises(ConfigurationError, match="per_class"):
        cellda.datasets.load("synthetic/0", per_class=0)


def nucleus_share(scene: Scene) -> float:
    return float((scene.nucleus.sum((1, 2)) / scene.cell.sum((1, 2))).mean())


def cell_area(scene: Scene) -> float:
    return float(scene.cell.sum((1, 2)).mean())


def pieces(nucleus: torch.Tensor) -> int:
    """Parts of a nucleus once its bridges are cut."""
    mask = ndimage.binary_opening(nucleus.numpy() > 0.5, iterations=3)
    return int(ndimage.label(mask)[1])


def solidity(nucleus: torch.Tensor) -> float:
    return float(regionprops((nucleus.numpy() > 0.5).astype(int))[0].solidity)


def test_nucleus_fills_lymphocytes_most_and_granulocytes_least(scenes: dict[str, Scene]) -> None:
    share = {label: nucleus_share(scene) for label, scene in scenes.items()}
    assert share["lymphocyte"] > 0.6
    assert share["lymphocyte"] > share["erythroblast"] + 0.15
    assert share["neutrophil"] < 0.45
    assert share["eosinophil"] < 0.45


def test_monocytes_are_the_largest_and_lymphocytes_and_erythroblasts_the_smallest(
    scenes: dict[str, Scene],
) -> None:
    area = {label: cell_area(scene) for label, scene in scenes.items()}
    assert max(area, key=area.__getitem__) == "monocyte"
    assert set(sorted(area, key=area.__getitem__)[:2]) == {"lymphocyte", "erythroblast"}


def test_nuclei_have_the_lobes_and_bends_of_their_class(scenes: dict[str, Scene]) -> None:
    lobes = {label: np.mean([pieces(n) for n in scene.nucleus]) for label, scene in scenes.items()}
    bends = {label: np.mean([solidity(n) for n in scene.nucleus]) for label, scene in scenes.items()}
    assert lobes["lymphocyte"] == lobes["erythroblast"] == 1
    assert lobes["neutrophil"] > 1.5
    assert lobes["eosinophil"] > 1.5
    assert bends["neutrophil"] < bends["monocyte"] < bends["lymphocyte"]
    assert bends["lymphocyte"] > 0.95


def test_nuclei_stay_inside_their_cells(scenes: dict[str, Scene]) -> None:
    for scene in scenes.values():
        assert bool((scene.nucleus <= scene.cell + 1e-6).all())


def test_each_granulocyte_carries_its_own_granules(scenes: dict[str, Scene]) -> None:
    owners = {"eosinophil": "acidophil", "basophil": "basophil", "neutrophil": "neutrophil"}
    for label, kind in owners.items():
        channel = SUBSTRATES.index(f"{kind}_granules")
        own = scenes[label].substrates[:, channel] * scenes[label].cell
        assert float(own.sum((1, 2)).min()) > 0
        for other in set(owners) - {label}:
            inner = scenes[other].cell == 1
            assert not scenes[other].substrates[:, channel][inner].any()


def test_basophil_granules_cover_the_nucleus_and_eosinophil_granules_hardly_do(
    scenes: dict[str, Scene],
) -> None:
    def over_nucleus(label: str, kind: str) -> float:
        scene = scenes[label]
        amount = scene.substrates[:, SUBSTRATES.index(kind)]
        core = scene.nucleus > 0.99
        return float(amount[core].mean() / amount[(scene.cell > 0.99) & (scene.nucleus < 0.01)].mean())

    assert over_nucleus("basophil", "basophil_granules") > 0.7
    assert over_nucleus("eosinophil", "acidophil_granules") < 0.4


def test_eosinophil_cytoplasm_is_redder_than_neutrophil_and_lymphocyte_bluer() -> None:
    cells = cellda.datasets.load("synthetic/0", per_class=EACH)
    redness = {}
    for label in ("eosinophil", "neutrophil", "lymphocyte"):
        numbers = cell_numbers(label, EACH)
        scene = draw_scene(cells.keys(numbers), DOMAINS[0], 96)
        image = cells.read(numbers, 96).float()
        plasma = (scene.cell > 0.95) & (scene.nucleus < 0.05)
        red, green, _ = (image[:, c][plasma].mean() for c in range(3))
        redness[label] = float(red / green)
    assert redness["eosinophil"] > 1.2 * redness["neutrophil"]
    assert redness["lymphocyte"] < redness["neutrophil"]


def test_the_shape_grammar_is_the_same_in_every_domain() -> None:
    keys = [CellKey(code, 0, "same") for code in range(6)]
    first, *others = (draw_scene(keys, domain, 32).cells for domain in DOMAINS)
    for other in others:
        for field in dataclasses.fields(first):
            torch.testing.assert_close(getattr(first, field.name), getattr(other, field.name), rtol=0, atol=0)


def test_transmission_is_beer_lambert() -> None:
    amounts = torch.rand(2, 2, 5, 5) * 2
    azure, eosin = (0.8, 0.6, 0.2), (0.1, 0.9, 0.5)
    light = transmitted(amounts, azure, eosin).numpy()
    for channel in range(3):
        density = amounts[:, 0].numpy() * azure[channel] + amounts[:, 1].numpy() * eosin[channel]
        np.testing.assert_allclose(light[:, channel], 10.0**-density, rtol=1e-5)


def test_binding_multiplies_strength_and_uptake() -> None:
    plain = dataclasses.replace(DOMAINS[0], strength=(1.0, 1.0), uptake={})
    changed = dataclasses.replace(DOMAINS[0], strength=(2.0, 0.5), uptake={"rna": (3.0, 1.0)})
    ratio = binding(changed) / binding(plain)
    expected = torch.tensor([2.0, 0.5]).repeat(7, 1)
    expected[SUBSTRATES.index("rna")] = torch.tensor([6.0, 0.5])
    torch.testing.assert_close(ratio, expected)


def test_blur_is_the_gaussian_filter_of_scipy() -> None:
    light = torch.rand(2, 3, 40, 40)
    ours = blurred(light, torch.tensor([1.0, 2.5]), torch.tensor([1.0, 0.8]))
    for image, result, sigma in zip(light, ours, ((1.0, 1.0), (0.8, 2.5)), strict=True):
        for channel in range(3):
            reference = ndimage.gaussian_filter(image[channel].numpy(), sigma, mode="reflect", truncate=8)
            np.testing.assert_allclose(result[channel].numpy(), reference, atol=1e-5)


def test_sensor_noise_has_the_variance_of_counted_light_and_reading() -> None:
    domain = dataclasses.replace(DOMAINS[0], photons=500.0, read_noise=20.0)
    for size in (96, 192):
        noise = read_out(torch.full((1, 3, size, size), 0.4), domain, [5]) - 0.4
        share = (96 / size) ** 2
        expected = (0.4 / (500 * share) + (20 / (500 * 96 / size)) ** 2) ** 0.5
        assert float(noise.std()) == pytest.approx(expected, rel=0.03)


def test_empty_glass_has_the_colour_of_lamp_and_tone_curve() -> None:
    domain = dataclasses.replace(DOMAINS[0], illuminant=(0.8, 0.6, 0.3), exposure=1.0, cast=0.0, vignette=0.0)
    draws = Draws.seeded([1], OPTICS_DRAWS)
    image = photographed(torch.ones(1, 3, 64, 64), domain, draws, [2]).float()
    expected = 255 * torch.tensor([0.8, 0.6, 0.3]) ** (1 / domain.gamma)
    torch.testing.assert_close(image.mean((0, 2, 3)), expected, atol=1.5, rtol=0)


def test_only_the_tilted_domain_has_black_corners() -> None:
    for number, domain in enumerate(DOMAINS):
        images = cellda.datasets.load(f"synthetic/{number}", per_class=2).read(range(12), 64)
        black = (images.amax(1) < 20).float()
        border = torch.cat([black[:, 0], black[:, -1], black[:, :, 0], black[:, :, -1]], dim=1).mean()
        assert (float(border) > 0.1) == (domain.tilt > 0), number


def test_draws_say_when_a_pool_is_too_small() -> None:
    with pytest.raises(IndexError, match="pool of 3"):
        Draws.seeded([0], 3).uniform(shape=(4,))
