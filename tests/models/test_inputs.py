"""What `predict` takes: the same cells in every form give the same prediction, and what is no RGB image is refused."""

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import cellda.datasets
from cellda import CellClassifier
from cellda.errors import DataError
from cellda.models import Backbone
from cellda.models.judged import seen_of
from cellda.normalizers.spec import NormalizerSpec


@pytest.fixture(scope="module")
def model() -> CellClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CellClassifier(
            Backbone(name="test_efficientnet", weights="none", image_size=32), NormalizerSpec(name="reinhard")
        ).eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    (tmp_path / "deep").mkdir()
    for number, side in enumerate((40, 33, 64, 50)):
        place = tmp_path / ("deep" if number == 3 else ".") / f"{number}.png"
        Image.fromarray(random.integers(0, 256, (side, side + 3, 3), np.uint8)).save(place)
    return tmp_path


def files(folder: Path) -> list[Path]:
    return [folder / "0.png", folder / "1.png", folder / "2.png", folder / "deep" / "3.png"]


def arrays(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(file)) for file in files(folder)]


FORMS: dict[str, Callable[[Path], Any]] = {
    "paths": files,
    "texts": lambda folder: [str(file) for file in files(folder)],
    "a generator of paths": lambda folder: (file for file in files(folder)),
    "a folder": lambda folder: folder,
    "the text of a folder": str,
    "a pattern": lambda folder: str(folder / "**" / "*.png"),
    "Pillow images": lambda folder: [Image.open(file) for file in files(folder)],
    "arrays of several sizes": arrays,
    "a generator of arrays": lambda folder: iter(arrays(folder)),
    "floats": lambda folder: [image / 255 for image in arrays(folder)],
    "tensors of several sizes": lambda folder: [torch.tensor(a).permute(2, 0, 1) for a in arrays(folder)],
    "folders and patterns in a list": lambda folder: [str(folder / "[0-2].png"), folder / "deep"],
    "a generator of folders and patterns": lambda folder: iter([folder / "?.png", folder / "deep"]),
    "a mixture": lambda folder: [files(folder)[0], *arrays(folder)[1:3], str(files(folder)[3])],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same(model: CellClassifier, folder: Path, form: str) -> None:
    wanted = model.predict(files(folder))
    found = model.predict(FORMS[form](folder))
    assert found.labels == wanted.labels
    assert torch.equal(found.probabilities, wanted.probabilities)
    assert found.flags == wanted.flags


def test_one_image_is_a_batch_of_one(model: CellClassifier, folder: Path) -> None:
    wanted = model.predict(files(folder)).probabilities[2:3]
    whole = arrays(folder)[2]
    tensor = torch.tensor(whole).permute(2, 0, 1)
    path = files(folder)[2]
    for one in (path, str(path), Image.open(path), whole, whole[None], tensor, tensor[None]):
        torch.testing.assert_close(model.predict(one).probabilities, wanted)
    assert model.predict(np.stack([whole, whole])).probabilities.shape == (2, 6)


def test_a_tensor_is_predicted_and_judged_like_its_files(model: CellClassifier, tmp_path: Path) -> None:
    drawn = cellda.datasets.load("synthetic/1", per_class=1).read(range(6), 50)
    raw = torch.cat([drawn, torch.full((1, 3, 50, 50), 220, dtype=torch.uint8)])
    places = [tmp_path / f"{number}.png" for number in range(len(raw))]
    for place, pixels in zip(places, raw, strict=True):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(place)
    wanted = model.predict(places)
    assert (wanted.labels[-1], wanted.flags[-1]) == (None, "no_nucleus")
    assert None not in wanted.labels[:3]
    for given in (raw, raw / 255, raw.double() / 255, raw.permute(0, 2, 3, 1).numpy()):
        found = model.predict(given)
        assert (found.labels, found.flags) == (wanted.labels, wanted.flags)
        assert torch.equal(found.probabilities, wanted.probabilities)
    assert model.predict((raw / 255).bfloat16()).flags[-1] == "no_nucleus"


def test_pixels_in_the_networks_size_are_not_judged_by_it(model: CellClassifier, tmp_path: Path) -> None:
    """They were resized for the network; a file of that size was not."""
    drawn = cellda.datasets.load("synthetic/1", per_class=1)
    clouds = torch.randn(30, 128, generator=torch.Generator().manual_seed(0))
    other = copy.deepcopy(model)
    other.seen = seen_of(clouds, torch.arange(30) % 3, torch.ones(30, dtype=torch.bool), [3.0], [100, 200])
    small, smaller = (drawn.read(range(2), side) for side in (32, 30))
    assert not any("size" in flag for flag in other.predict(small).flags)
    assert all("size" in flag for flag in other.predict(smaller).flags)
    Image.fromarray(small[0].permute(1, 2, 0).numpy()).save(tmp_path / "small.png")
    assert "size" in other.predict(tmp_path / "small.png").flags[0]


def test_a_photograph_that_was_turned_is_turned_in_memory_too(model: CellClassifier, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8))
    image.save(tmp_path / "turned.png", exif=exif)
    found = [
        model.predict(given).probabilities
        for given in (tmp_path / "turned.png", Image.open(tmp_path / "turned.png"))
    ]
    assert torch.equal(*found)


IMAGE = np.zeros((20, 30, 3), np.uint8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (IMAGE.transpose(2, 0, 1), r"array \(3, 20, 30\).*\(H, W, 3\).*image\.transpose\(1, 2, 0\)"),
        (IMAGE[None].transpose(0, 3, 1, 2), r"got \(1, 3, 20, 30\).*images\.transpose\(0, 2, 3, 1\)"),
        (IMAGE[..., 0], r"array \(20, 30\).*grey"),
        (IMAGE[..., :1], r"array \(20, 30, 1\).*grey"),
        (np.zeros((20, 30, 4), np.uint8), r"remove its alpha channel"),
        (np.zeros((0, 30, 3), np.uint8), r"array \(0, 30, 3\)"),
        (IMAGE.astype(np.float32) + 200, r"floats must lie in \[0, 1\]; got values from 200 to 200.*uint8"),
        (IMAGE - 0.1, r"floats must lie in \[0, 1\]"),
        (np.full((20, 30, 3), np.nan), r"floats must lie in \[0, 1\]"),
        (IMAGE.astype(np.uint16), r"holds uint16.*not known which value is white"),
        (IMAGE.astype(bool), r"holds bool"),
        ([torch.zeros(2, 4, 5)], r"Image 0 is a tensor \(2, 4, 5\).*\(3, H, W\)"),
        ([IMAGE, 5], r"Image 1 is a int; give paths"),
        (pd.DataFrame({"path": ["a.png"]}), r"A DataFrame cannot be predicted.*table\['path'\]"),
        ({"a.png": IMAGE}, r"A dict cannot be predicted.*images\.values\(\)"),
        ([IMAGE, "*.nothing"], r"No file matches the pattern \*\.nothing"),
        (torch.zeros(4, 4, 5), r"tensor of RGB images has the shape \(3, H, W\) or \(N, 3, H, W\); got \(4, 4, 5\)"),
        (5, r"A int cannot be predicted"),
        (Image.new("L", (20, 30)), r"mode L; convert it first: image\.convert\('RGB'\)"),
        ("*.nothing", r"No file matches the pattern \*\.nothing"),
        ("nowhere.png", r"nowhere\.png: the file does not exist"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused_in_a_sentence(model: CellClassifier, given: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"(?s){message}"):
        model.predict(given)


def test_a_truncated_pillow_image_is_named(model: CellClassifier, folder: Path) -> None:
    whole, half = (
        io.BytesIO(file.read_bytes()[:size]) for file, size in zip(files(folder), (None, 400), strict=False)
    )
    with pytest.raises(
        DataError, match=r"1 of 2 images cannot be used.*\n  - image 1: it is damaged or truncated"
    ):
        model.predict([Image.open(whole), Image.open(half)])


def test_a_generator_is_read_as_it_goes(model: CellClassifier) -> None:
    from cellda.models.inputs import pictures
    from cellda.models.results import results

    made = []

    def endless():
        while True:
            made.append(IMAGE)
            yield IMAGE

    first = next(results(model.network(), pictures(endless())))
    assert len(first) == len(made) == 256
