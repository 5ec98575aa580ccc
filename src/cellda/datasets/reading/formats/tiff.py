"""TIFF: which page, channels, range and polarity a microscope's file means; what could mean several things is refused.

tifffile reads the tags of all files, and the samples of those that Pillow would cut to 8 bits or to their first channel.
Pillow decodes the rest (JPEG, LZW and fax compression of 8-bit samples), to the same pixels everywhere.
"""

import ctypes
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from tifffile import TiffFile, TiffPage

from cellda.datasets.reading.formats.channels import AS_RGB, order_of_planes, planes, stated_bits
from cellda.datasets.reading.formats.ending import check_rows_end
from cellda.datasets.reading.formats.opened import Unusable, bounded
from cellda.datasets.reading.formats.samples import Samples

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFF and BigTIFF files begin."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_MEANT = {_WHITE_IS_ZERO: "L", _BLACK_IS_ZERO: "L", _RGB: "RGB", _PALETTE: "P", _CMYK: "CMYK"}
_NAMES = {8: "CIELAB", 9: "CIELAB", 10: "CIELAB", 32803: "the sensor's raw mosaic", 34892: "raw sensor data"}
_OWN = frozenset({1, 8, 32946})
"""Compressions of 8-bit samples that tifffile decodes by itself, checksums included: none and deflate."""
_EXACT = _OWN | {5, 34925, 50000}
"""Lossless compressions of 16-bit samples: also LZW, LZMA and ZSTD, where the package imagecodecs is installed."""
_REDUCED, _MASK = 1, 4
_JPEG = 7
_END_OF_JPEG = b"\xff\xd9"
_TAIL = 1024
"""Bytes at the end of a strip or tile in which its JPEG data end; some programs pad them."""

logging.getLogger("tifffile").addHandler(
    logging.NullHandler()
)  # what is wrong with a file is in our messages


def _silence_libtiff() -> None:
    """Keep what libtiff says of damaged files from the terminal: Pillow raises an exception as well, which we report.

    libtiff has one handler for the process, found through Pillow's extension, which is linked to it. Where libtiff is part of
    the extension itself (Windows), its lines stay.
    """
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(Image.core.__file__)  # type: ignore[attr-defined]
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)


_silence_libtiff()


@contextmanager
def tagged(stream: BinaryIO) -> "Iterator[TiffFile]":
    """The tags of a TIFF file, whose first page is of bearable size."""
    stream.seek(0)
    with TiffFile(stream, name="image") as file:
        page = _first(file)
        bounded(page.imagewidth, page.imagelength)
        yield file


def size(stream: BinaryIO) -> tuple[int, int]:
    """`(width, height)` of the upright image."""
    with tagged(stream) as file:
        page = _first(file)
        width, height = page.imagewidth, page.imagelength
        return (height, width) if _orientation(page) >= 5 else (width, height)


def read(stream: BinaryIO) -> Samples | None:
    """The samples of the one image in the file; None if Pillow decodes them as well.

    Raises:
        Unusable: If they are damaged, or it is unclear what they mean; the message says how to save the file instead.
    """
    with tagged(stream) as file:
        page = _first(file)
        _check_kind(page)
        order = order_of_planes(file)
        _check_other_pages(file, 1 if order is None else len(order))
        if order is not None:
            _check_rows_end([file.pages[number] for number in range(len(file.pages))], stream)
            return Samples(planes(file, order), "RGB", stated_bits(file), False, None, _orientation(page))
        mode = _mode(page)
        _check_complete(page, stream)
        if not _needs_tifffile(page):
            return None
        values = page.asarray()
        if page.planarconfig == 2 and values.ndim == 3:
            values = np.moveaxis(values, 0, -1)
        inverted, palette = page.photometric == _WHITE_IS_ZERO, _palette(page) if mode == "P" else None
        if mode == "RGBX":
            values, mode = values[..., :3], "RGB"
        return Samples(values, mode, stated_bits(file), inverted, palette, _orientation(page))


def kind(stream: BinaryIO) -> tuple[bool, int]:
    """Whether red, green and blue are pages of their own, and bits of a sample."""
    with tagged(stream) as file:
        return order_of_planes(file) is not None, _first(file).bitspersample


def previews(stream: BinaryIO) -> int:
    """Number of smaller copies of the image that the file also holds."""
    with tagged(stream) as file:
        return sum(bool(page.subfiletype & _REDUCED) for page in _further(file))


def _first(file: TiffFile) -> TiffPage:
    page: Any = file.pages[0]
    if not isinstance(page, TiffPage):
        raise Unusable("it is damaged: its first page has no tags")
    return page


def _orientation(page: TiffPage) -> int:
    tag = page.tags.get(274)
    return int(tag.value) if tag is not None and tag.value in range(1, 9) else 1


def _check_kind(page: TiffPage) -> None:
    """Refuse types of samples without a defined white."""
    if page.sampleformat == 3:
        raise Unusable("its pixels are floats, which do not define white; save it with 8 or 16 bits")
    if page.sampleformat not in (1, 4) or page.bitspersample > 16:
        kind = "signed integers" if page.sampleformat == 2 and page.bitspersample <= 16 else "32-bit integers"
        raise Unusable(f"its pixels are {kind}, which do not define white; save it with 8 or 16 bits")
    if page.imagedepth > 1:
        raise Unusable(f"it holds a volume of {page.imagedepth} slices; save the slice that shows the cell")


def _check_other_pages(file: TiffFile, images: int) -> None:
    """Refuse further images; only those that are marked as smaller copies of the first are passed over.

    Args:
        file: The file.
        images: Number of pages that are the image.
    """
    if _first(file).subfiletype & _REDUCED and any(True for _ in _further(file)):
        raise Unusable(f"its first page is a preview of another image in the file; {AS_RGB}")
    masks = sum(bool(page.subfiletype & _MASK) for page in _further(file))
    if masks:
        raise Unusable(f"it holds transparency masks as further pages ({masks}); {AS_RGB}")
    alike = sum(not page.subfiletype & _REDUCED for page in _further(file)) + 1
    if alike != images:
        raise Unusable(
            f"it holds {alike} pages, and it is unclear which shows the cell, or whether they are channels; {AS_RGB}"
        )


def _further(file: TiffFile) -> "Iterator[Any]":
    """The pages after the first, and those below it (SubIFD)."""
    for number in range(1, len(file.pages)):
        yield file.pages[number]
    yield from _first(file).pages or ()


def _mode(page: TiffPage) -> str:
    """Pillow's name for the channels of a page.

    Raises:
        Unusable: If it is unclear what they are.
    """
    photometric, count = int(page.photometric), page.samplesperpixel
    if photometric == _YCBCR:
        if page.compression == 1 and tuple(page.subsampling or (2, 2)) != (1, 1):
            raise Unusable("its colours are uncompressed, subsampled YCbCr; save it in RGB")
        return "YCbCr"
    mode = _MEANT.get(photometric)
    if mode is None:
        raise Unusable(f"its colours are {_NAMES.get(photometric, f'of kind {photometric}')}; save it in RGB")
    extra = tuple(map(int, page.extrasamples))
    if len(extra) > 1 or count - len(extra) != len(mode) or (extra == (0,) and mode != "RGB"):
        raise Unusable(f"it has {count} channels, and it is unclear which are red, green and blue; {AS_RGB}")
    if mode == "P" and (extra or page.bitspersample > 8):
        raise Unusable(f"it has a palette of {page.bitspersample} bits; save it in RGB")
    if not extra or mode == "CMYK":
        return mode
    return {0: f"{mode}X", 1: f"{mode}a", 2: f"{mode}A"}.get(extra[0], f"{mode}A")


def _check_complete(page: TiffPage, stream: BinaryIO) -> None:
    """Refuse a page with strips or tiles that are absent or lie beyond the end; decoders leave them black."""
    end = stream.seek(0, 2)
    parts = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    expected = int(np.prod(page.chunked)) if page.chunked else 1
    if len(parts) < expected or any(
        offset <= 0 or size <= 0 or offset + size > end for offset, size in parts
    ):
        raise Unusable("it is damaged or truncated (parts of its pixels are missing)")
    if page.compression == _JPEG:
        if page.jpegtables is not None and not page.jpegtables.rstrip(b"\0").endswith(_END_OF_JPEG):
            raise Unusable("it is damaged or truncated (the tables of its JPEG data are missing)")
        for offset, size in parts:
            stream.seek(max(offset, offset + size - _TAIL))
            if _END_OF_JPEG not in stream.read(min(size, _TAIL)):
                raise Unusable("it is damaged or truncated (the end of its JPEG data is missing)")
    _check_rows_end([page], stream)
    stream.seek(0)


def _check_rows_end(pages: Sequence[Any], stream: BinaryIO) -> None:
    """Refuse uncompressed samples that end in nothing."""
    first = pages[0]
    if first.compression == 1:
        width = first.tilewidth if first.is_tiled else first.imagewidth
        samples = first.samplesperpixel if first.planarconfig == 1 else 1
        pieces = [
            piece for page in pages for piece in zip(page.dataoffsets, page.databytecounts, strict=False)
        ]
        check_rows_end(stream, pieces, -(-width * samples * first.bitspersample // 8))


def _needs_tifffile(page: TiffPage) -> bool:
    """Whether tifffile decodes the samples and not Pillow.

    Raises:
        Unusable: If neither does without a loss.
    """
    bits, compression = page.bitspersample, int(page.compression)
    plain = compression == 1 and page.planarconfig == 1
    if bits == 8 and compression in _OWN and page.photometric != _YCBCR and not plain:
        return True  # Pillow ignores damage within deflate; what is stored as it is, Pillow reads faster
    if bits <= 8 or (page.samplesperpixel == 1 and page.photometric == _BLACK_IS_ZERO):
        return False
    if bits == 16 and compression in _OWN:
        return True
    name = getattr(page.compression, "name", compression)
    if bits == 16 and compression in _EXACT and _imagecodecs():
        return True
    hint = ", or install the package imagecodecs" if bits == 16 and compression in _EXACT else ""
    raise Unusable(
        f"its {bits}-bit samples, compressed as {name}, cannot be read without a loss; save it uncompressed or as "
        f"PNG{hint}"
    )


def _imagecodecs() -> bool:
    from importlib.util import find_spec

    return find_spec("imagecodecs") is not None


def _palette(page: TiffPage) -> bytes:
    """Red, green and blue of each value, with 8 bits."""
    colours = np.asarray(page.colormap) // 256
    return colours.T.astype(np.uint8).tobytes()
