"""What microscopes and scientific programs write: no pixel is lost, and what could mean several things is refused."""

import io
import struct
import zlib
from itertools import pairwise

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageFile

import cellda.datasets
from cellda.data.check import check
from cellda.data.own_cells import OwnCells
from cellda.data.pixel_cache import WHOLE, pixels_key
from cellda.datasets.reading.decode import decode, frame_size
from cellda.datasets.reading.formats.further import previews
from cellda.datasets.reading.formats.samples import Samples
from cellda.datasets.reading.formats.unusual import unusual
from cellda.errors import ConfigurationError, DataError
from cellda.text import counted


@pytest.fixture
def rgb():
    """A bright colour image, 20 high and 30 wide, as (H, W, 3) uint8."""
    y, x = np.mgrid[:20, :30]
    return np.stack([250 - x * 4, 240 - y * 8, 255 - x * 2 - y * 2], axis=-1).astype(np.uint8)


def deep(rgb, bits):
    """The same colours with more bits, in uint16."""
    white = 2**bits - 1
    return np.round(rgb.astype(float) * white / 255).astype(np.uint16)


def shown(path, bits=None):
    return decode(path, bits=bits).permute(1, 2, 0).numpy()


def written(path, values, **options):
    tifffile.imwrite(path, values, **options)
    return path


# ------------------------------------------------------------------ TIFF that is clear


PLAIN = {
    "contiguous": {},
    "planes": {"planarconfig": "separate"},
    "tiled": {"tile": (16, 16)},
    "deflate": {"compression": "zlib", "predictor": True},
    "big": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "strips": {"rowsperstrip": 3},
    "planes, tiled, deflate": {"planarconfig": "separate", "tile": (16, 16), "compression": "zlib"},
    "OME": {"ome": True},
}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("bits", [8, 16])
def test_colours_come_back_however_they_are_laid_out(tmp_path, rgb, kind, bits):
    values = rgb if bits == 8 else deep(rgb, 16)
    if PLAIN[kind].get("planarconfig"):
        values = values.transpose(2, 0, 1)
    file = written(tmp_path / "a.tif", values, photometric="rgb", **PLAIN[kind])
    assert np.array_equal(shown(file), rgb)
    assert frame_size(file) == (30, 20)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_compressed_colours_are_as_pillow_decodes_them(tmp_path, rgb, compression):
    Image.fromarray(rgb).save(tmp_path / "a.tif", compression=compression)
    with Image.open(tmp_path / "a.tif") as image:
        assert np.array_equal(shown(tmp_path / "a.tif"), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr"])
def test_modes_are_as_pillow_decodes_them(tmp_path, rgb, mode):
    image = Image.fromarray(rgb)
    image = image.quantize(32) if mode == "P" else image.convert(mode)
    if mode == "YCbCr":
        image.save(tmp_path / "a.tif", compression="jpeg", quality=95)
    else:
        image.save(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as read:
        assert np.array_equal(shown(tmp_path / "a.tif"), np.asarray(read.convert("RGB")))


def test_grey_of_16_bits_whose_zero_is_white_is_inverted(tmp_path, rgb):
    grey = deep(rgb[..., 0], 16)
    file = written(tmp_path / "a.tif", 65535 - grey, photometric="miniswhite")
    assert np.array_equal(shown(file)[..., 0], rgb[..., 0])


def test_transparency_of_16_bits_shows_white(tmp_path, rgb):
    values = np.dstack([deep(rgb, 16), np.full((20, 30), 65535, np.uint16)])
    values[:, :10, 3] = 0
    file = written(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unassalpha"])
    expected = rgb.copy()
    expected[:, :10] = 255
    assert np.array_equal(shown(file), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_16_bits_is_applied(tmp_path, rgb, orientation):
    Image.fromarray(rgb).save(tmp_path / "flat.tif", tiffinfo={274: orientation})
    file = written(
        tmp_path / "a.tif", deep(rgb, 16), photometric="rgb", extratags=[(274, "H", 1, orientation, True)]
    )
    assert np.array_equal(shown(file), shown(tmp_path / "flat.tif"))
    assert frame_size(file) == frame_size(tmp_path / "flat.tif") == shown(file).shape[1::-1]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_an_imagej_composite_is_red_green_and_blue(tmp_path, rgb, dtype, order):
    values = rgb if dtype == np.uint8 else deep(rgb, 16)
    ramp = np.arange(256, dtype=np.uint8)
    tables = [np.stack([ramp if c == channel else ramp * 0 for c in range(3)]) for channel in order]
    file = written(
        tmp_path / "a.tif",
        values.transpose(2, 0, 1)[list(order)].copy(),
        imagej=True,
        metadata={"axes": "CYX", "mode": "composite", "LUTs": tables},
    )
    assert np.array_equal(shown(file), rgb)
    assert frame_size(file) == (30, 20)


def test_an_imagej_composite_without_tables_is_shown_as_imagej_shows_it(tmp_path, rgb):
    file = written(
        tmp_path / "a.tif",
        rgb.transpose(2, 0, 1).copy(),
        imagej=True,
        metadata={"axes": "CYX", "mode": "composite"},
    )
    assert np.array_equal(shown(file), rgb)


@pytest.mark.parametrize(
    "channel",
    [{"Name": ["Blue", "Green", "Red"]}, {"Color": [0x0000FFFF, 0x00FF00FF, 0xFF0000FF - 2**32]}],
)
def test_ome_channels_are_read_by_name_or_colour(tmp_path, rgb, channel):
    planes = rgb.transpose(2, 0, 1)[::-1].copy()
    file = written(
        tmp_path / "a.tif",
        planes,
        ome=True,
        photometric="minisblack",
        metadata={"axes": "CYX", "Channel": channel},
    )
    assert np.array_equal(shown(file), rgb)


def test_previews_are_passed_over(tmp_path, rgb):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(rgb, photometric="rgb", metadata=None)
        writer.write(np.ascontiguousarray(rgb[::2, ::2]), photometric="rgb", subfiletype=1, metadata=None)
    assert np.array_equal(shown(tmp_path / "a.tif"), rgb)


FURTHER = {
    "smaller": (lambda rgb: rgb[::2, ::2], {}, "2 pages.*unclear"),
    "of another shape": (lambda rgb: rgb[:7], {}, "2 pages.*unclear"),
    "below the first": (lambda rgb: rgb[::2, ::2], {"below": True}, "2 pages.*unclear"),
    "a mask": (lambda rgb: rgb[..., 0], {"kind": 4}, "transparency mask"),
    "the image of which the first is a preview": (lambda rgb: rgb, {"first": 1}, "first page is a preview"),
}


@pytest.mark.parametrize("name", FURTHER)
def test_further_pages_that_are_not_marked_as_smaller_copies_are_refused(tmp_path, rgb, name):
    made, how, reason = FURTHER[name]
    page = np.ascontiguousarray(made(rgb))
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(
            rgb,
            photometric="rgb",
            metadata=None,
            subfiletype=how.get("first", 0),
            subifds=int("below" in how),
        )
        kind = {"subfiletype": 1} if "kind" in how else {}
        writer.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", metadata=None, **kind)
    if "kind" in how:  # which tifffile does not write
        data = (tmp_path / "a.tif").read_bytes()
        marked, wanted = (struct.pack("<HHII", 254, 4, 1, kind) for kind in (1, how["kind"]))
        assert data.count(marked) == 1
        (tmp_path / "a.tif").write_bytes(data.replace(marked, wanted))
    with pytest.raises(DataError, match=reason):
        decode(tmp_path / "a.tif")


def with_pyramid(file, rgb):
    """Two smaller copies below the page, as OME-TIFF has them."""
    with tifffile.TiffWriter(file) as writer:
        writer.write(rgb, photometric="rgb", metadata=None, subifds=2)
        for step in (2, 4):
            smaller = np.ascontiguousarray(rgb[::step, ::step])
            writer.write(smaller, photometric="rgb", metadata=None, subfiletype=1)
    return file


def with_thumbnail(file, rgb, scale=0.5):
    """A JPEG with a further picture, as cameras and phones write it."""
    first = Image.fromarray(rgb)
    other = first.resize((int(first.width * scale), int(first.height * scale)))
    first.save(file, "MPO", save_all=True, append_images=[other], quality=95)
    return file


def test_a_second_picture_in_a_jpeg_is_refused_unless_it_is_smaller(tmp_path, rgb):
    with pytest.raises(DataError, match=r"it holds 2 pictures, .*save that one as PNG"):
        decode(with_thumbnail(tmp_path / "a.jpg", rgb, 1))
    Image.fromarray(rgb).save(tmp_path / "plain.jpg", quality=95)
    assert np.array_equal(shown(with_thumbnail(tmp_path / "b.jpg", rgb)), shown(tmp_path / "plain.jpg"))


def test_smaller_copies_are_passed_over_and_counted(tmp_path, rgb):
    files = [with_pyramid(tmp_path / "a.tif", rgb), with_thumbnail(tmp_path / "b.jpg", rgb)]
    assert np.array_equal(shown(files[0]), rgb)
    assert list(map(previews, files)) == [2, 1]
    for name in ("c.jpg", "c.tif", "c.png"):
        Image.fromarray(rgb).save(tmp_path / name)
        assert previews(tmp_path / name) == 0
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    assert previews(tmp_path / "broken.tif") == 0


# ------------------------------------------------------------------ significant bits


STATED = {
    "OME": {"ome": True, "metadata": {"axes": "YXS", "SignificantBits": 12}},
    "MaxSampleValue": {"extratags": [(281, "H", 1, 4095, True)]},
}


@pytest.mark.parametrize("by", STATED)
def test_12_bits_that_the_file_states_fill_the_range(tmp_path, rgb, by):
    file = written(tmp_path / "a.tif", deep(rgb, 12), photometric="rgb", **STATED[by])
    assert np.array_equal(shown(file), rgb)


def test_12_bits_that_imagej_states_fill_the_range(tmp_path, rgb):
    file = written(
        tmp_path / "a.tif",
        deep(rgb[..., 0], 12),
        imagej=True,
        metadata={"axes": "YX", "min": 0.0, "max": 4095.0},
    )
    assert np.array_equal(shown(file)[..., 0], rgb[..., 0])


def png16(values, kind, between=b""):
    """A PNG of 16 bits: `(H, W, S)` and its colour type."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    height, width = values.shape[:2]
    return png(struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0), zlib.compress(rows), between)


def png(header, packed, between=b"", after=b""):
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + between
        + chunk(b"IDAT", packed)
        + after
        + chunk(b"IEND", b"")
    )


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def camera_files(folder, rgb, bits):
    """Colour and grey of a camera with fewer than 16 bits, in files of 16 bits."""
    values = deep(rgb, bits)
    grey = np.ascontiguousarray(values[..., 0])
    (folder / "colour.png").write_bytes(png16(values, 2))
    (folder / "alpha.png").write_bytes(png16(np.dstack([values, np.full((20, 30), 65535)]), 6))
    (folder / "grey.png").write_bytes(png16(grey[..., None], 0))
    written(folder / "colour.tif", values, photometric="rgb")
    written(folder / "planes.tif", values.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    written(folder / "grey.tif", grey)
    Image.fromarray(grey).save(folder / "grey_lzw.tif", compression="tiff_lzw")
    return sorted(file for file in folder.iterdir())


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_fewer_bits_than_stored_are_refused_unless_they_are_stated(tmp_path, rgb, bits):
    files = camera_files(tmp_path, rgb, bits)
    assert len(files) == 7
    for file in files:
        with pytest.raises(DataError, match=rf"white may be {2**bits - 1} \({bits} bits\).*bits={bits}"):
            decode(file)
        expected = rgb[..., :1] if "grey" in file.name else rgb
        assert np.array_equal(shown(file, bits), np.broadcast_to(expected, rgb.shape)), file.name


def test_stated_bits_that_are_too_few_are_refused(tmp_path, rgb):
    for file in camera_files(tmp_path, rgb, 14):
        with pytest.raises(DataError, match="more than the 4095 of 12 bits"):
            decode(file, bits=12)


def test_stated_bits_do_not_touch_images_of_8_bits(tmp_path, rgb):
    for name in ("a.png", "a.tif", "a.bmp"):
        Image.fromarray(rgb).save(tmp_path / name)
        assert np.array_equal(shown(tmp_path / name, 12), rgb)


def test_16_bits_of_black_are_black(tmp_path):
    assert shown(written(tmp_path / "a.tif", np.zeros((5, 6), np.uint16))).max() == 0


def test_16_bit_colours_of_png_are_rounded_not_cut(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    values[0, 0] = 65535
    (tmp_path / "a.png").write_bytes(png16(values, 2))
    assert np.array_equal(shown(tmp_path / "a.png"), np.round(values / 65535 * 255))


def test_the_transparent_colour_of_a_16_bit_png_shows_white(tmp_path, rgb):
    values = deep(rgb, 16)
    key = struct.pack(">HHH", *values[3, 4])
    (tmp_path / "a.png").write_bytes(png16(values, 2, chunk(b"tRNS", key)))
    assert (shown(tmp_path / "a.png")[3, 4] == 255).all()
    assert np.array_equal(shown(tmp_path / "a.png")[0], rgb[0])


def test_a_12_bit_pgm_states_its_range(tmp_path, rgb):
    values = deep(rgb[..., 0], 12)
    (tmp_path / "a.pgm").write_bytes(b"P5 30 20 4095\n" + values.astype(">u2").tobytes())
    assert np.abs(shown(tmp_path / "a.pgm")[..., 0].astype(int) - rgb[..., 0]).max() <= 1


# ------------------------------------------------------------------ TIFF that is unclear


def unclear(rgb):
    """Name -> samples, options of `tifffile.imwrite`, and what the message must say."""
    grey, wide = rgb[..., 0], deep(rgb, 16)
    return {
        "two channels": (rgb[..., :2], {"photometric": "minisblack", "planarconfig": "contig"}, "2 channels.*RGB"),
        "seven channels": (
            np.dstack([rgb, rgb, grey]), {"photometric": "minisblack", "planarconfig": "contig"}, "7 channels.*RGB",
        ),
        "five with colours": (np.dstack([rgb, rgb[..., :2]]), {"photometric": "rgb"}, "5 channels.*RGB"),
        "three pages": (rgb.transpose(2, 0, 1).copy(), {"photometric": "minisblack"}, "3 pages.*RGB"),
        "two colour pages": (np.stack([rgb, rgb]), {"photometric": "rgb"}, "2 pages"),
        "a stack": (rgb.transpose(2, 0, 1).copy(), {"imagej": True, "metadata": {"axes": "ZYX"}}, "3 slices"),
        "a film": (rgb.transpose(2, 0, 1).copy(), {"imagej": True, "metadata": {"axes": "TYX"}}, "3 frames"),
        "two planes": (
            rgb.transpose(2, 0, 1)[:2].copy(), {"imagej": True, "metadata": {"axes": "CYX"}}, "2 channels.*RGB",
        ),
        "ome without colours": (
            rgb.transpose(2, 0, 1).copy(), {"ome": True, "metadata": {"axes": "CYX"}, "photometric": "minisblack"}, "RGB",
        ),
        "ome stack": (
            rgb.transpose(2, 0, 1).copy(), {"ome": True, "metadata": {"axes": "ZYX"}, "photometric": "minisblack"}, "slices",
        ),
        "floats": ((rgb / 255).astype(np.float32), {"photometric": "rgb"}, "floats.*8 or 16 bits"),
        "doubles": (grey / 255, {}, "floats"),
        "32 bits": (wide.astype(np.uint32) * 65537, {"photometric": "rgb"}, "32-bit.*8 or 16 bits"),
        "signed": ((wide // 2).astype(np.int16), {"photometric": "rgb"}, "signed"),
        "lab": (rgb, {"photometric": "cielab"}, "CIELAB.*RGB"),
        "mosaic": (grey, {"photometric": "cfa"}, "mosaic"),
    }  # fmt: skip


def test_what_could_mean_several_things_is_refused_with_the_remedy(tmp_path, rgb):
    for name, (values, options, reason) in unclear(rgb).items():
        file = written(tmp_path / f"{name}.tif", values, **options)
        with pytest.raises(DataError, match=reason):
            decode(file)
        assert frame_size(file) == (30, 20), name


def test_grey_tables_are_no_colours(tmp_path, rgb):
    ramp = np.stack([np.arange(256, dtype=np.uint8)] * 3)
    file = written(
        tmp_path / "a.tif",
        rgb.transpose(2, 0, 1).copy(),
        imagej=True,
        metadata={"axes": "CYX", "mode": "composite", "LUTs": [ramp] * 3},
    )
    with pytest.raises(DataError, match="not shown in red, green and blue"):
        decode(file)


# ------------------------------------------------------------------ damaged files


def encoded(rgb):
    """Name -> bytes of the same image."""
    files = {f"a.{kind.lower()}": (kind, {}) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")} | {
        "progressive.jpeg": ("JPEG", {"progressive": True})
    }
    out = {}
    for name, (kind, options) in files.items():
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, kind, **options)
        out[name] = buffer.getvalue()
    for name, options in PLAIN.items():
        values = deep(rgb, 16)
        buffer = io.BytesIO()
        separate = "planarconfig" in options
        tifffile.imwrite(
            buffer, values.transpose(2, 0, 1) if separate else values, photometric="rgb", **options
        )
        out[f"{name}.tif"] = buffer.getvalue()
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, rgb.transpose(2, 0, 1).copy(), imagej=True, metadata={"axes": "CYX", "mode": "composite"}
    )
    out["composite.tif"] = buffer.getvalue()
    return out


def test_a_file_that_is_cut_anywhere_is_refused_or_whole(tmp_path, rgb):
    noise = np.random.default_rng(0).integers(100, 256, (40, 50, 3), dtype=np.uint8)
    for name, data in encoded(noise).items():
        file = tmp_path / name
        file.write_bytes(data)
        whole = decode(file)
        for end in range(1, len(data), max(1, len(data) // 60)):
            file.write_bytes(data[:end])
            try:
                cut = decode(file)
            except DataError:
                continue
            assert torch.equal(cut, whole), (name, end)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_png_whose_data_end_before_its_last_row_is_refused(tmp_path, rgb, kept):
    rows = b"".join(b"\0" + row.tobytes() for row in rgb)
    header = struct.pack(">IIBBBBB", 30, 20, 8, 2, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(png(header, zlib.compress(rows[: int(len(rows) * kept)])))
    with pytest.raises(DataError, match="truncated"):
        decode(tmp_path / "a.png")


def test_a_png_that_ends_in_black_is_whole(tmp_path, rgb):
    dark = rgb.copy()
    dark[10:] = 0
    for name, image in {
        "colour": Image.fromarray(dark),
        "grey": Image.fromarray(dark).convert("L"),
        "binary": Image.fromarray(dark).convert("1"),
        "palette": Image.fromarray(dark).quantize(16),
        "transparent": Image.fromarray(np.dstack([dark, dark.max(-1)])),
    }.items():
        image.save(tmp_path / f"{name}.png")
        decode(tmp_path / f"{name}.png")


@pytest.mark.parametrize("kept", [0.4, 0.7, 0.9])
def test_a_jpeg_that_ends_before_its_last_block_is_refused(tmp_path, kept):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)).save(
        buffer, "JPEG"
    )
    data = buffer.getvalue()
    (tmp_path / "a.jpg").write_bytes(data[: int(len(data) * kept)] + b"\xff\xd9")
    with pytest.raises(DataError, match="last rows are missing"):
        decode(tmp_path / "a.jpg")


NOISE = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


def scans_of(data):
    """Where the scans of a JPEG without previews begin, and where the last one ends."""
    places = [place for place in range(len(data) - 1) if data[place : place + 2] == b"\xff\xda"]
    return [*places, data.rindex(b"\xff\xd9")]


def jpeg_of(mode, **options):
    buffer = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def one_scan_for_each_component():
    """A baseline JPEG of three scans, put together from three grey ones with the same tables."""
    parts = []
    for component in Image.fromarray(NOISE).convert("YCbCr").split():
        buffer = io.BytesIO()
        component.save(buffer, "JPEG", quality=90)
        parts.append(buffer.getvalue())
    frame, scan = parts[0].index(b"\xff\xc0"), parts[0].index(b"\xff\xda")
    tables = frame + 2 + int.from_bytes(parts[0][frame + 2 : frame + 4], "big")
    sizes = parts[0][frame + 4 : frame + 9]
    components = b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3))
    out = parts[0][:frame] + b"\xff\xc0\x00\x11" + sizes + b"\x03" + components + parts[0][tables:scan]
    for number, part in enumerate(parts, start=1):
        start, end = scans_of(part)
        out += b"\xff\xda\x00\x08\x01" + bytes([number]) + part[start + 6 : end]
    return out + b"\xff\xd9"


SCANS = {
    "colour": (lambda: jpeg_of("RGB", progressive=True), 10),
    "colour in full": (lambda: jpeg_of("RGB", progressive=True, subsampling=0, quality=95), 10),
    "grey": (lambda: jpeg_of("L", progressive=True), 6),
    "print": (lambda: jpeg_of("CMYK", progressive=True), 18),
    "restarts": (lambda: jpeg_of("RGB", progressive=True, restart_marker_blocks=2), 10),
    "baseline": (one_scan_for_each_component, 3),
}


@pytest.mark.parametrize("kind", SCANS)
def test_a_jpeg_that_lacks_a_scan_is_refused(tmp_path, kind):
    made, count = SCANS[kind]
    data, file = made(), tmp_path / "a.jpg"
    file.write_bytes(data)
    whole = decode(file)
    with Image.open(file) as image:
        assert np.array_equal(whole.permute(1, 2, 0), np.asarray(image.convert("RGB")))
    places = scans_of(data)
    assert len(places) == count + 1
    for place in places[1:-1]:
        file.write_bytes(data[:place] + b"\xff\xd9")
        with pytest.raises(DataError, match="its last scans are missing"):
            decode(file)
    for first, after in pairwise(places):
        file.write_bytes(data[: (first + after) // 2] + b"\xff\xd9")
        with pytest.raises(DataError, match="truncated"):
            decode(file)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp", "jp2"])
def test_truncated_images_are_refused_though_another_library_lets_pillow_fill_them_up(
    tmp_path, monkeypatch, rgb, suffix
):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as WeasyPrint does
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(NOISE[:40, :40]).save(file)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError):
        decode(file)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("side", [8, 16, 40])
def test_a_small_jpeg_that_is_cut_within_its_last_block_is_refused(tmp_path, side, kept):
    buffer = io.BytesIO()
    Image.fromarray(NOISE[:side, :side]).save(buffer, "JPEG", quality=90)
    data = buffer.getvalue()
    start, end = scans_of(data)
    start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    last = max(start, end - 100)
    (tmp_path / "a.jpg").write_bytes(data)
    decode(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(data[: int(last + kept * (end - last))] + b"\xff\xd9")
    with pytest.raises(DataError, match="truncated"):
        decode(tmp_path / "a.jpg")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
def test_a_jpeg_that_ends_in_mid_grey_is_whole(tmp_path, rgb, options):
    image = Image.new("RGB", (100, 90), (128, 128, 128))
    image.paste(Image.fromarray(rgb))
    image.save(tmp_path / "a.jpg", **options)
    assert shown(tmp_path / "a.jpg")[-1, -1].tolist() == [128] * 3


def test_damage_within_deflate_is_found(tmp_path, rgb):
    file = written(tmp_path / "a.tif", rgb, photometric="rgb", compression="zlib")
    with tifffile.TiffFile(file) as tiff:
        start, count = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    data = bytearray(file.read_bytes())
    data[start + count - 3] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        decode(file)


# ------------------------------------------------------------------ sound files with much beside the image


LONG = b"x" * 3_000_000
TEXTS = {
    "plain": chunk(b"tEXt", b"Comment\0" + LONG),
    "packed": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(LONG)),
    "international": chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(LONG)),
    "profile": chunk(b"iCCP", b"profile\0\0" + zlib.compress(LONG)),
    "many": b"".join(chunk(b"tEXt", b"k%d\0" % k + LONG[:900_000]) for k in range(80)),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("after", [False, True])
def test_a_png_with_long_texts_is_sound(tmp_path, rgb, text, after):
    if after and text == "profile":
        pytest.skip("a profile stands before the pixels")
    rows = b"".join(b"\0" + row.tobytes() for row in rgb)
    header = struct.pack(">IIBBBBB", 30, 20, 8, 2, 0, 0, 0)
    parts = (b"", TEXTS[text]) if after else (TEXTS[text], b"")
    (tmp_path / "a.png").write_bytes(png(header, zlib.compress(rows), *parts))
    assert np.array_equal(shown(tmp_path / "a.png"), rgb)
    assert frame_size(tmp_path / "a.png") == (30, 20)


def test_nothing_is_said_beside_the_error(tmp_path, rgb, capfd):
    data = encoded(rgb)["tiled.tif"]
    (tmp_path / "a.tif").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError):
        decode(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")


# ------------------------------------------------------------------ what a check says


def test_a_check_names_depth_used_range_and_pages(tmp_path, rgb):
    files = {}
    for name, values, options in (
        ("plain.tif", rgb, {"photometric": "rgb"}),
        ("deep.tif", deep(rgb, 16), {"photometric": "rgb"}),
        ("dim.tif", deep(rgb, 16) // 2, {"photometric": "rgb"}),
        ("stated.tif", deep(rgb, 12), {"photometric": "rgb", **STATED["OME"]}),
        ("composite.tif", rgb.transpose(2, 0, 1).copy(), {"imagej": True, "metadata": {"axes": "CYX"}}),
    ):
        files[name] = written(tmp_path / name, values, **options)
    files["pyramid.tif"] = with_pyramid(tmp_path / "pyramid.tif", rgb)
    files["camera.jpg"] = with_thumbnail(tmp_path / "camera.jpg", rgb)
    for name in ("plain.png", "plain.jpg", "plain.bmp"):
        Image.fromarray(rgb).save(tmp_path / name)
        files[name] = tmp_path / name
    low, high = deep(rgb, 16).min(), deep(rgb, 16).max()
    assert unusual(files) == [
        f"2 images: 16 bits stored, of which 16 are taken as significant; values from {low // 2} to {high}, the darkest "
        f"image to {high // 2} (deep.tif, ...)",
        f"1 image: 16 bits stored, of which 12 are taken as significant; values from {deep(rgb, 12).min()} to 4095, the "
        "darkest image to 4095 (stated.tif)",
        "1 image: red, green and blue are separate planes (composite.tif)",
        "1 image: 2 smaller pictures in the same file, which are passed over (pyramid.tif)",
        "1 image: 1 smaller picture in the same file, which is passed over (camera.jpg)",
    ]


def test_a_dataset_takes_the_bits_of_its_camera(tmp_path, rgb):
    for name in ("neutrophil", "monocyte"):
        (tmp_path / "cells" / name).mkdir(parents=True)
        written(tmp_path / "cells" / name / "a.tif", deep(rgb, 12), photometric="rgb")
    (tmp_path / "cells.csv").write_text("path,label\ncells/neutrophil/a.tif,neutrophil\n", encoding="utf-8")
    for name, root in (("folder", tmp_path / "cells"), ("table", tmp_path / "cells.csv")):
        plain, told = cellda.datasets.load(name, root), cellda.datasets.load(name, root, bits=12)
        with pytest.raises(DataError, match="bits=12"):
            plain.read([0], 20)
        assert told.read([0], 20)[0].max() > 250
        assert not check(plain).ok
        assert (
            check(told)
            .unusual[0]
            .startswith(f"{counted(len(told), 'image(s)')}: 16 bits stored, of which 12")
        )
        assert pixels_key(told, 20, WHOLE) != pixels_key(plain, 20, WHOLE)
        with pytest.raises(ConfigurationError, match="bits"):
            cellda.datasets.load(name, root, bits=17)
    own = OwnCells(
        cellda.datasets.load("folder", tmp_path / "cells", bits=12), [tmp_path / "cells/monocyte/a.tif"]
    )
    assert own.read([0, 2], 20).amax((1, 2, 3)).min() > 250


def test_a_pgm_states_its_white_unless_that_is_the_size_of_its_samples(tmp_path):
    values = np.linspace(0, 4095, 64).astype(">u2").tobytes()
    (tmp_path / "stated.pgm").write_bytes(b"P5\n# camera\n8 8\n4095\n" + values)
    assert decode(tmp_path / "stated.pgm").max() == 255
    (tmp_path / "unclear.pgm").write_bytes(b"P5 8 8 65535\n" + values)
    with pytest.raises(DataError, match="bits=12"):
        decode(tmp_path / "unclear.pgm")
    assert decode(tmp_path / "unclear.pgm", bits=12).max() == 255
    (tmp_path / "unclear.ppm").write_bytes(b"P6 8 2 65535\n" + (values + values)[: 8 * 2 * 3 * 2])
    with pytest.raises(DataError, match="unclear what is white"):
        decode(tmp_path / "unclear.ppm")


def test_alpha_has_the_bits_of_the_colours():
    values = np.full((2, 2, 4), 4095, np.uint16)
    values[0, 0, :3] = 0
    shown = np.asarray(Samples(values, "RGBA").image(12))
    assert shown[0, 0].tolist() == [0, 0, 0, 255]
    assert shown[1, 1].tolist() == [255, 255, 255, 255]
