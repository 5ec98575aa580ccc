"""JPEG: data that end too early, which decoders fill with mid-grey."""

import io
from typing import BinaryIO

import numpy as np
from PIL import Image

from cellda.datasets.reading.formats.opened import Unusable

MAGIC = b"\xff\xd8"
_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_GREY = (127, 128)
_OTHER = b"\x55" * 64
"""Bytes that are not the data of a grey block, whatever the code."""


def check_blocks(stream: BinaryIO, image: Image.Image) -> None:
    """Refuse a decoded image whose data end before its last block.

    Decoders show missing blocks in mid-grey, so another last pixel shows that none is missing. Otherwise bytes are added at
    the end of the data: a complete image does not change, in an incomplete one they become blocks.
    """
    last = image.getpixel((image.width - 1, image.height - 1))
    if any(value not in _GREY for value in (last if isinstance(last, tuple) else (last,))):
        return
    stream.seek(0)
    data = stream.read()
    start = _first_scan(data)
    end = data.find(_END, start)
    if end < 0:
        return
    with Image.open(io.BytesIO(data[:end] + _OTHER + data[end:])) as other:
        if not np.array_equal(np.asarray(other), np.asarray(image)):
            raise Unusable("it is damaged or truncated (its last rows are missing)")


def _first_scan(data: bytes) -> int:
    """Where the first scan begins: after all segments of the header, which may hold a preview with its own end."""
    place = 2
    while place + 4 <= len(data) and data[place : place + 2] != _SCAN:
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big") if data[place + 1] != 0xFF else 1
    return place
