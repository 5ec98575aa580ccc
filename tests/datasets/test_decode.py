"""Decoding of whatever cameras and paint programs write."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from cellda.datasets.reading import decode as reading
from cellda.datasets.reading.decode import decode, decode_resized, frame_size, unusable
from cellda.errors import DataError


@pytest.fixture
def rgb():
    """A smooth colour image, 20 high and 30 wide, as (H, W, 3)."""
    y, x = np.mgrid[:20, :30]
    return np.stack([x * 8, y * 12, 255 - x * 4 - y * 4], axis=-1).astype(np.uint8)


def chw(pixels):
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "ppm"])
def test_lossless_rgb_comes_back_exactly(tmp_path, rgb, suffix):
    Image.fromarray(rgb).save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    image = decode(tmp_path / f"a.{suffix}")
    assert image.dtype == torch.uint8
    assert torch.equal(image, chw(rgb))


def test_grey_becomes_three_equal_channels(tmp_path, rgb):
    Image.fromarray(rgb[..., 0]).save(tmp_path / "a.png")
    assert torch.equal(decode(tmp_path / "a.png"), torch.from_numpy(rgb[..., 0].copy()).expand(3, -1, -1))


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, suffix):
    values = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    expected = np.round(values / 65535 * 255)
    assert np.array_equal(decode(tmp_path / f"a.{suffix}")[1].numpy(), expected)


def test_16_bit_colour_is_scaled_not_clipped(tmp_path, rgb):
    deep = rgb.astype(np.uint16) * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 30, 20, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    packed = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    assert torch.equal(decode(tmp_path / "a.png"), chw(rgb))


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 0, 0)).save(tmp_path / "a.jpg", quality=95)
    red, green, blue = decode(tmp_path / "a.jpg").float().mean((1, 2)).tolist()
    assert red > 240
    assert green < 15
    assert blue > 240


def test_palette_becomes_rgb(tmp_path, rgb):
    paletted = Image.fromarray(rgb).quantize(16)
    paletted.save(tmp_path / "a.png")
    assert torch.equal(decode(tmp_path / "a.png"), chw(np.asarray(paletted.convert("RGB"))))


def test_opaque_alpha_is_dropped(tmp_path, rgb):
    Image.fromarray(np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])).save(tmp_path / "a.tiff")
    assert torch.equal(decode(tmp_path / "a.tiff"), chw(rgb))


def test_transparent_pixels_show_white(tmp_path, rgb):
    alpha = np.full(rgb.shape[:2], 255, np.uint8)
    alpha[:, :10] = 0
    alpha[:, 10:20] = 128
    Image.fromarray(np.dstack([rgb, alpha])).save(tmp_path / "a.png")
    weight = alpha[..., None] / 255
    expected = rgb * weight + 255 * (1 - weight)
    assert np.abs(decode(tmp_path / "a.png").permute(1, 2, 0).numpy() - expected).max() <= 1


def test_a_transparent_palette_colour_shows_white(tmp_path):
    image = Image.new("P", (6, 4), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "a.png", transparency=0)
    decoded = decode(tmp_path / "a.png")
    assert decoded[:, 0, 0].tolist() == [255, 255, 255]
    assert decoded[:, 0, 1].tolist() == [200, 100, 50]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_exif_orientation_is_applied(tmp_path, rgb, orientation, suffix):
    # What the camera stores for each orientation, undone here by hand.
    upright = {
        1: rgb, 2: rgb[:, ::-1], 3: rgb[::-1, ::-1], 4: rgb[::-1], 5: rgb.transpose(1, 0, 2),
        6: np.rot90(rgb, -1), 7: np.rot90(rgb, 2).transpose(1, 0, 2), 8: np.rot90(rgb, 1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(rgb).save(file, exif=exif)
    assert torch.equal(decode(file), chw(upright))
    assert frame_size(file) == (upright.shape[1], upright.shape[0])


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif"])
def test_films_are_refused_because_any_frame_may_show_the_cell(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"it holds 3 frames, .*save that one as PNG"):
        decode(tmp_path / f"a.{suffix}")
    frames[0].save(tmp_path / f"b.{suffix}", save_all=True)
    assert decode(tmp_path / f"b.{suffix}")[0].float().mean() > 240


def test_a_box_cuts_and_is_clamped_to_the_frame(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.png")
    assert torch.equal(decode(tmp_path / "a.png", (3, 5, 10, 7)), chw(rgb[5:12, 3:13]))
    assert torch.equal(decode(tmp_path / "a.png", (-4, 15, 10, 99)), chw(rgb[15:, :6]))


def test_a_box_outside_the_image_is_refused(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"\(30, 0, 5, 5\) lies outside the image of 30 x 20"):
        decode(tmp_path / "a.png", (30, 0, 5, 5))


def broken(tmp_path):
    """Unusable files: name -> what the message must say."""
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 80).convert("RGB").save(buffer, "JPEG")
    (tmp_path / "truncated.jpg").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 80).save(buffer, "PNG")
    (tmp_path / "truncated.png").write_bytes(buffer.getvalue()[:900])
    (tmp_path / "damaged.png").write_bytes(buffer.getvalue()[:50] + b"zzzz" + buffer.getvalue()[54:])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "folder.jpg").mkdir()
    Image.new("F", (4, 4)).save(tmp_path / "float.tiff")
    Image.new("I", (4, 4)).save(tmp_path / "int32.tiff")
    Image.new("RGBA", (4, 4), (9, 9, 9, 0)).save(tmp_path / "clear.png")
    return {
        "truncated.jpg": "truncated", "truncated.png": "truncated", "damaged.png": "damaged", "empty.jpg": "empty",
        "text.jpg": "not an image", "folder.jpg": "folder", "float.tiff": "floats", "int32.tiff": "32-bit",
        "clear.png": "transparent", "missing.png": "does not exist",
    }  # fmt: skip


def test_unusable_files_are_refused_by_name_and_reason(tmp_path):
    for name, reason in broken(tmp_path).items():
        with pytest.raises(DataError, match=reason) as caught:
            decode(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(("width", "height"), [(12_000, 12_000), (60_000, 60_000)])
def test_gigantic_images_are_refused_unread(tmp_path, width, height):
    # A header alone: whoever tried to read the pixels would fail otherwise.
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    idat = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + idat)
    with pytest.raises(DataError, match="megapixels"):
        decode(tmp_path / "a.png")


def test_resizing_is_bilinear_antialiased_and_straight_to_the_square(tmp_path, rgb):
    noise = np.random.default_rng(0).integers(0, 256, (91, 130, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    Image.fromarray(rgb).save(tmp_path / "b.png")
    out = decode_resized([(tmp_path / "a.png", None), (tmp_path / "b.png", (2, 3, 20, 10))], 32)
    assert out.shape == (2, 3, 32, 32)
    for got, source in zip(out, (noise, rgb[3:13, 2:22]), strict=True):
        expected = tv.resize(chw(source), [32, 32], antialias=True)
        assert (got.int() - expected.int()).abs().max() <= 1


def test_all_unusable_files_of_a_batch_are_listed_together(tmp_path, rgb):
    reasons = broken(tmp_path)
    Image.fromarray(rgb).save(tmp_path / "good.png")
    files = [(tmp_path / name, None) for name in ("good.png", *reasons)]
    with pytest.raises(DataError) as caught:
        decode_resized(files, 16)
    assert len(caught.value.problems) == len(reasons)
    for (name, reason), problem in zip(reasons.items(), caught.value.problems, strict=True):
        assert problem.startswith(str(tmp_path / name))
        assert reason in problem
    steps = []
    assert list(unusable(files, steps.append)) == list(range(1, len(files)))
    assert sum(steps) == len(files)


def test_consecutive_boxes_of_one_image_are_cut_from_one_decoding(tmp_path, rgb, monkeypatch):
    for name in ("a.png", "b.png"):
        Image.fromarray(rgb).save(tmp_path / name)
    boxes = [(x, 1, 5, 6) for x in range(9)]
    files = [(tmp_path / name, box) for name in ("a.png", "b.png") for box in boxes]
    decodings = []
    real = reading.decoded
    monkeypatch.setattr(reading, "decoded", lambda *given: decodings.append(1) or real(*given))
    found = decode_resized(files, 8)
    assert len(decodings) == 2
    assert all(one.equal(decode_resized([file], 8)[0]) for one, file in zip(found, files, strict=True))


def test_nothing_is_warned_about(tmp_path, monkeypatch):
    # Pillow warns of palettes with transparency as bytes, and of images above its own pixel limit.
    image = Image.new("P", (6, 4), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.save(tmp_path / "a.png", transparency=bytes([0, 255]))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        decode(tmp_path / "a.png")
        decode_resized([(tmp_path / "a.png", None)] * 3, 8)
        frame_size(tmp_path / "a.png")
    assert caught == []
