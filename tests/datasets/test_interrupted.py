"""Files whose end was never written, or was overwritten: no decoder says so, and they are not read."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from cellda.datasets.reading.decode import decode
from cellda.errors import DataError

FORMATS = {
    "png": ("PNG", {}),
    "progressive.jpg": ("JPEG", {"progressive": True}),
    "bmp": ("BMP", {}),
    "tga": ("TGA", {}),
    "ppm": ("PPM", {}),
    "webp": ("WEBP", {}),
    "lossless.webp": ("WEBP", {"lossless": True}),
    "avif": ("AVIF", {}),
    "qoi": ("QOI", {}),
    "raw.tif": ("TIFF", {}),
    "jpeg.tif": ("TIFF", {"compression": "jpeg"}),
    "lzw.tif": ("TIFF", {"compression": "tiff_lzw"}),
    "packbits.tif": ("TIFF", {"compression": "packbits"}),
}
PACKED = ("png", "webp", "avif")
"""Formats in which a tail of ones is no picture, either."""


@pytest.fixture
def smear() -> np.ndarray:
    """A bright, grainy picture, 97 high and 103 wide."""
    y, x = np.mgrid[:97, :103]
    plain = np.stack([235 - y // 2, 200 - x // 3, 220 - (x + y) // 4], axis=-1)
    return np.clip(plain + np.random.default_rng(0).normal(0, 6, plain.shape), 1, 255).astype(np.uint8)


def encoded(image: np.ndarray, name: str) -> bytes:
    buffer = io.BytesIO()
    kind, options = FORMATS[name]
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kept", [0.31, 0.53, 0.87, 0.92])
def test_a_file_whose_end_is_zeros_is_refused(tmp_path, smear, name, kept):
    data = encoded(smear, name)
    file = tmp_path / f"a.{name}"
    file.write_bytes(data)
    decode(file)
    end = int(len(data) * kept)
    file.write_bytes(data[:end] + bytes(len(data) - end))
    with pytest.raises(
        DataError, match=r"damaged or truncated|its end is empty: the copy was interrupted|not an image"
    ):
        decode(file)


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("kept", [0.31, 0.53, 0.87, 0.92])
def test_compressed_data_that_end_in_ones_are_refused(tmp_path, smear, name, kept):
    data = encoded(smear, name)
    end = int(len(data) * kept)
    (tmp_path / f"a.{name}").write_bytes(data[:end] + b"\xff" * (len(data) - end))
    with pytest.raises(DataError):
        decode(tmp_path / f"a.{name}")


@pytest.mark.parametrize(
    "options", [{}, {"planarconfig": "separate"}, {"tile": (32, 96)}, {"rowsperstrip": 5}]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_samples_of_tiff_that_end_in_zeros_are_refused(tmp_path, smear, options, dtype):
    values = smear[:96, :96].astype(dtype) * (257 if dtype is np.uint16 else 1)
    file = tmp_path / "a.tif"
    tifffile.imwrite(
        file, values.transpose(2, 0, 1) if "planarconfig" in options else values, photometric="rgb", **options
    )
    decode(file)
    data = file.read_bytes()
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages[0]
        last = max(offset + size for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True))
    end = last - sum(page.databytecounts) * 2 // 5 - 20
    file.write_bytes(data[:end] + bytes(last - end) + data[last:])
    with pytest.raises(DataError, match="the copy was interrupted"):
        decode(file)


@pytest.mark.parametrize("kind", ["bmp", "tga", "ppm", "tif"])
def test_pictures_that_end_in_black_are_whole(tmp_path, smear, kind):
    """Borders, cells cut out on black, and turned pictures end in zeros; so do their files."""
    y, x = np.mgrid[:97, :103]
    shapes = {
        "border": y < 70,
        "border above": y > 30,
        "borders": (y < 70) & (x < 95),
        "frame": (abs(y - 48) < 30) & (abs(x - 51) < 40),
        "cell": (y - 45) ** 2 + (x - 50) ** 2 < 30**2,
        "field of view": (y - 40) ** 2 + (x - 51) ** 2 < 50**2,
        "turned": abs(y - 48 + 0.1 * (x - 51)) < 30,
    }
    for name, shape in shapes.items():
        image = np.where(shape[..., None], smear, 0).astype(np.uint8)
        file = tmp_path / f"{name}.{kind}"
        Image.fromarray(image).save(file)
        assert np.array_equal(decode(file).permute(1, 2, 0).numpy(), image), name


@pytest.mark.parametrize("options", [{}, {"quality": 30}, {"quality": 100}, {"lossless": True}])
def test_flat_pictures_are_whole_in_webp(tmp_path, smear, options):
    """Their data end in zeros, as many as there is flat area."""
    flat = np.full((700, 900, 3), (225, 205, 215), np.uint8)
    flat[:97, :103] = smear
    for image in (flat, np.zeros_like(flat), np.full_like(flat, 255)):
        Image.fromarray(image).save(tmp_path / "a.webp", **options)
        decode(tmp_path / "a.webp")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(packed: bytes, header: bytes, *before: bytes) -> bytes:
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *before, chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    )


def test_one_bit_in_the_pixels_of_a_png_is_found(tmp_path, smear):
    data = bytearray(encoded(smear, "png"))
    place = data.index(b"IDAT")
    data[place + 4 + int.from_bytes(data[place - 4 : place], "big") // 2] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        decode(tmp_path / "a.png")


def test_the_compressed_data_of_a_png_must_end(tmp_path, smear):
    rows = b"".join(b"\0" + row.tobytes() for row in smear)
    header = struct.pack(">IIBBBBB", 103, 97, 8, 2, 0, 0, 0)
    packed = zlib.compress(rows)
    for name, data, sound in (
        ("whole", packed, True),
        ("with a byte more", zlib.compress(rows + b"\0"), True),
        ("without its sum", packed[:-4], False),
        ("with another sum", packed[:-4] + b"sums", False),
    ):
        (tmp_path / "a.png").write_bytes(png(data, header))
        if sound:
            assert np.array_equal(decode(tmp_path / "a.png").permute(1, 2, 0).numpy(), smear), name
        else:
            with pytest.raises(DataError, match="damaged"):
                decode(tmp_path / "a.png")


def test_a_tiff_with_a_larger_image_below_its_preview_is_refused(tmp_path, smear):
    """As raw converters write it: the first page is small, the image is a SubIFD."""
    for name, options in (("marked", {"subfiletype": 1}), ("unmarked", {})):
        file = tmp_path / f"{name}.tif"
        with tifffile.TiffWriter(file) as writer:
            writer.write(np.ascontiguousarray(smear[::4, ::4]), photometric="rgb", subifds=1, **options)
            writer.write(smear, photometric="rgb")
        with pytest.raises(DataError, match=r"preview|unclear"):
            decode(file)


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "avif"])
def test_films_are_refused(tmp_path, smear, kind):
    first = Image.fromarray(smear)
    first.save(
        tmp_path / f"a.{kind}", save_all=True, append_images=[first.transpose(Image.Transpose.ROTATE_180)]
    )
    with pytest.raises(DataError, match="2 frames"):
        decode(tmp_path / f"a.{kind}")


def transparent(smear: np.ndarray, alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([smear, alpha.astype(np.uint8)]))


@pytest.mark.parametrize("kind", ["png", "webp", "tif"])
def test_an_image_of_which_nothing_is_visible_is_refused(tmp_path, smear, kind):
    y, x = np.mgrid[:97, :103]
    for alpha in (np.full(y.shape, 1), np.full(y.shape, 60), (y == 50) & (x == 50)):
        shown = transparent(smear, alpha * (255 if alpha.max() == 1 and alpha.min() == 0 else 1))
        shown.save(tmp_path / f"a.{kind}", **({"lossless": True, "exact": True} if kind == "webp" else {}))
        with pytest.raises(DataError, match=r"of its pixels are visible .*save it without transparency"):
            decode(tmp_path / f"a.{kind}")
    cell = (y - 50) ** 2 + (x - 50) ** 2 < 10**2
    transparent(smear, 255 * cell).save(tmp_path / "cell.png")
    assert (decode(tmp_path / "cell.png")[:, 50, 50].numpy() == smear[50, 50]).all()
    transparent(smear, np.full(y.shape, 128)).save(tmp_path / "half.png")
    decode(tmp_path / "half.png")


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "packbits", "tiff_adobe_deflate"])
def test_libtiff_does_not_write_to_the_terminal(tmp_path, smear, capfd, compression):
    buffer = io.BytesIO()
    Image.fromarray(smear).save(buffer, "TIFF", compression=compression)
    data = bytearray(buffer.getvalue())
    data[9:2000] = bytes(1991)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        decode(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")


def deep_png(values: np.ndarray, kind: int, bits: bytes) -> bytes:
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return png(zlib.compress(rows), header, chunk(b"sBIT", bits))


@pytest.mark.parametrize("scaled", [False, True])
def test_a_png_states_its_bits(tmp_path, smear, scaled):
    """The standard scales them to 16; programs that store them as they are state them as well."""
    values = np.round(smear / 255 * 4095).astype(np.uint16)
    if scaled:
        values = values << 4 | values >> 8
    alpha = np.full(values.shape[:2], 65535, np.uint16)
    file = tmp_path / "a.png"
    for kind, samples, bits in (
        (2, values, b"\x0c\x0c\x0c"),
        (6, np.dstack([values, alpha]), b"\x0c\x0c\x0c\x10"),
        (0, values[..., 0], b"\x0c"),
        (4, np.dstack([values[..., 0], alpha]), b"\x0c\x10"),
    ):
        file.write_bytes(deep_png(samples, kind, bits))
        wanted = smear if kind in (2, 6) else np.repeat(smear[..., :1], 3, -1)
        assert np.abs(decode(file).permute(1, 2, 0).numpy().astype(int) - wanted).max() <= 1


def test_bits_of_a_png_that_differ_or_do_not_tell_are_asked_for(tmp_path, smear):
    values = np.round(smear / 255 * 4095).astype(np.uint16)
    dark = (values >> 4) << 4  # as 16 bits that the standard scaled from 12, and very dark
    for samples, bits in ((values, b"\x0c\x0b\x0c"), (dark, b"\x0c\x0c\x0c")):
        (tmp_path / "a.png").write_bytes(deep_png(samples, 2, bits))
        with pytest.raises(DataError, match="state the significant bits"):
            decode(tmp_path / "a.png")


@pytest.mark.parametrize(
    "names", ["RGB", "rgb", ("Red", "Green", "Blue"), ("RED", "green", "B"), (" R", "G ", "b")]
)
def test_ome_channels_may_have_short_names(tmp_path, smear, names):
    tifffile.imwrite(
        tmp_path / "a.tif",
        smear.transpose(2, 0, 1)[::-1].copy(),
        ome=True,
        photometric="minisblack",
        metadata={"axes": "CYX", "Channel": {"Name": list(names)[::-1]}},
    )
    assert np.array_equal(decode(tmp_path / "a.tif").permute(1, 2, 0).numpy(), smear)
