"""Files whose end is empty, because a copy was interrupted after the room for it had been taken.

Formats without checksums decode the zeros (or, on flash memory, the ones) like any other bytes.
"""

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from PIL import Image

from cellda.datasets.reading.formats.opened import Unusable

Piece = tuple[int, int]
"""Offset and number of bytes."""

EMPTY = "its end is empty: the copy was interrupted; copy it again"
_RUN = 32
"""Equal bytes at the end of compressed data that no encoder writes, but for one in `_FLAT` pixels."""
_FLAT = 4096
"""WebP codes the flat end of an image in zeros, one in 10,000 pixels at most (measured on flat images of 10 colours)."""
_LEAST = 0.005
"""Share of the samples of an image that the empty end covers at least."""
_DARK = 30
"""Samples above this are not black."""
_CLEAR = 3
"""Samples from which the empty end begins before the end of a row: more than a channel of 0."""
_QOI_END = b"\0\0\0\0\0\0\0\1"
_ZEROS = 3
"""Bytes of 0 that pad a row in BMP."""
_PLAIN_FORMATS = ("BMP", "DIB", "TGA", "PPM")
_PLAIN = {"L": 1, "RGB": 3, "BGR": 3, "P": 1}
"""Bytes of a pixel that Pillow's raw modes have where a file does not pad its rows."""


def check_end(stream: BinaryIO, image: Image.Image) -> None:
    """Refuse an opened image, not yet loaded, whose file ends in nothing.

    Raises:
        Unusable: If it does.
    """
    if image.format in ("WEBP", "AVIF", "HEIF"):
        _check_packed(stream, image)
    elif image.format == "QOI":
        stream.seek(0)
        if not stream.read().rstrip(b"\0\xff").endswith(_QOI_END):
            raise Unusable("it is damaged or truncated (its end is missing)")
    for codec, box, offset, args in getattr(image, "tile", ()) if image.format in _PLAIN_FORMATS else ():
        mode, stride = (args, 0) if isinstance(args, str) else args[:2]
        stride = stride or _PLAIN.get(mode, 0) * image.width
        if codec == "raw" and stride:
            check_rows_end(stream, [(offset, stride * (box[3] - box[1]))], stride)


def check_rows_end(stream: BinaryIO, pieces: Sequence[Piece], stride: int) -> None:
    """Refuse samples that are stored as they are and end in zeros that begin within a bright row.

    A picture with a black border, or of a cell cut out on black, ends in zeros, too; but these begin at the end of a row, or
    the row before is black there as well.

    Args:
        stream: The bytes of the file.
        pieces: Where whole rows of samples lie, in any order.
        stride: Bytes of a row.
    """
    pieces = sorted(pieces)
    last = sum(pieces[-1])
    stream.seek(max(0, last - stride))
    if any(stream.read(min(stride, last))):
        return
    data = bytearray()
    for offset, size in pieces:
        stream.seek(offset)
        data += stream.read(size)
    samples = np.frombuffer(data, np.uint8)
    begin = len(data.rstrip(b"\0"))
    row = begin // stride * stride
    before = samples[begin - stride : row]  # of the row before, what lies above the first zeros
    if len(samples) - begin < max(stride, _LEAST * len(samples)) or row in (0, begin) or len(before) < _CLEAR:
        return
    if np.median(before) > _DARK and np.count_nonzero(before == 0) <= _ZEROS + len(before) // 20:
        raise Unusable(EMPTY)


def _check_packed(stream: BinaryIO, image: Image.Image) -> None:
    """Refuse compressed data that end in many equal bytes: entropy codes do not, but metadata may."""
    stream.seek(0)
    data = stream.read()
    if image.format == "WEBP":
        data = data[: 8 + int.from_bytes(data[4:8], "little")]
    run = _RUN + image.width * image.height // _FLAT
    tail = data[-run:]
    if tail in (b"\0" * run, b"\xff" * run) and not (image.info.get("exif") or b"").endswith(tail[1:]):
        raise Unusable(EMPTY)
