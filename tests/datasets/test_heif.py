"""HEIC images, which the package pillow-heif reads where it is installed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import cellda.datasets
from cellda.data.pixel_cache import WHOLE, pixels_key
from cellda.datasets.reading.decode import decode, frame_size
from cellda.datasets.reading.names import is_image
from cellda.errors import DataError
from trees import picture

heif = pytest.importorskip("pillow_heif")

Y, X = np.mgrid[:40, :60]
RGB = np.stack([250 - X * 2, 240 - Y * 3, 255 - X - Y], axis=-1).astype(np.uint8)
LOSSLESS = {"quality": -1, "chroma": 444}


@pytest.fixture(autouse=True)
def _opener() -> None:
    assert is_image("a.heic")  # which makes the package known to Pillow


def differs(file: Path) -> int:
    """The largest difference from the colours; HEIC stores them as brightness and two colours, also without a loss."""
    return int(np.abs(decode(file).permute(1, 2, 0).numpy().astype(int) - RGB).max())


@pytest.mark.parametrize("suffix", ["heic", "heif", "HIF"])
def test_an_image_is_read_with_its_colours(tmp_path: Path, suffix: str) -> None:
    with (tmp_path / f"a.{suffix}").open("wb") as stream:
        Image.fromarray(RGB).save(stream, "HEIF", **LOSSLESS)
    assert differs(tmp_path / f"a.{suffix}") <= 2
    assert frame_size(tmp_path / f"a.{suffix}") == (60, 40)


def test_more_than_8_bits_are_scaled_by_the_depth_that_the_file_states(tmp_path: Path) -> None:
    deep = RGB.astype(np.uint16) * 257
    heif.from_bytes("RGB;16", (60, 40), deep.tobytes()).save(tmp_path / "a.heic", **LOSSLESS)
    assert heif.open_heif(tmp_path / "a.heic", convert_hdr_to_8bit=False).info["bit_depth"] > 8
    assert differs(tmp_path / "a.heic") <= 2


def test_grey_and_transparent_images_are_read(tmp_path: Path) -> None:
    Image.fromarray(RGB).convert("L").save(tmp_path / "grey.heic", **LOSSLESS)
    shown = decode(tmp_path / "grey.heic")
    assert torch.equal(shown[0], shown[1])
    alpha = np.full((40, 60), 255, np.uint8)
    alpha[:, :30] = 0
    Image.fromarray(np.dstack([RGB, alpha])).save(tmp_path / "clear.heic", **LOSSLESS)
    assert decode(tmp_path / "clear.heic")[:, :, :28].min() > 250
    assert (
        np.abs(decode(tmp_path / "clear.heic").permute(1, 2, 0).numpy().astype(int) - RGB)[:, 32:].max() <= 2
    )


def test_several_images_in_one_file_are_refused_and_thumbnails_are_not_images(tmp_path: Path) -> None:
    image = Image.fromarray(RGB)
    image.save(tmp_path / "thumbnail.heic", thumbnails=[20], **LOSSLESS)
    assert differs(tmp_path / "thumbnail.heic") <= 2
    image.save(tmp_path / "two.heic", save_all=True, append_images=[image.resize((30, 20))])
    with pytest.raises(DataError, match="it holds 2 frames"):
        decode(tmp_path / "two.heic")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_is_refused(tmp_path: Path, kept: float) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.heic", **LOSSLESS)
    data = (tmp_path / "a.heic").read_bytes()
    (tmp_path / "a.heic").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DataError, match=r"damaged or truncated|not an image"):
        decode(tmp_path / "a.heic")


def test_it_is_a_cell_of_a_folder_and_the_version_of_its_reader_is_in_the_key(tmp_path: Path) -> None:
    picture(tmp_path / "mono" / "a.png")
    plain = pixels_key(cellda.datasets.load("folder", tmp_path), 20, WHOLE)
    (tmp_path / "seg").mkdir()
    Image.fromarray(RGB).save(tmp_path / "seg" / "a.HEIC", "HEIF")
    dataset = cellda.datasets.load("folder", tmp_path)
    assert dataset.class_counts() == {"monocyte": 1, "neutrophil": 1}
    assert not dataset.account.left_out
    assert dataset.read([0, 1], 20).shape == (2, 3, 20, 20)
    assert pixels_key(dataset, 20, WHOLE)["versions"]["pillow-heif"] == heif.__version__
    assert "pillow-heif" not in plain["versions"]
