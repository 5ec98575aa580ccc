"""PNG beyond what Pillow does: colours of 16 bits, long texts beside a sound image, and rows that are not there."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image

from cellda.datasets.reading.formats.opened import Unusable
from cellda.datasets.reading.formats.samples import Samples, Values

MAGIC = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
"""Chunks that say something about an image and change none of its samples."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type -> samples of a pixel."""
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and steps between columns and rows, of each pass of an interlaced image."""


def without_texts(stream: BinaryIO) -> BinaryIO:
    """The same image without texts and colour profile, which Pillow refuses over a limit that guards against bombs."""
    stream.seek(0)
    kept = b"".join(whole for kind, _, whole in _chunks(stream.read()) if kind not in _TEXTS)
    return io.BytesIO(MAGIC + kept)


def deep_png(stream: BinaryIO) -> Samples | None:
    """The samples of a PNG of 16 bits with several channels, of which Pillow keeps 8; None if it is another."""
    stream.seek(0)
    header = stream.read(33)
    if header[24:25] != b"\x10" or header[25] not in (2, 4, 6):
        return None
    from torchvision.io import ImageReadMode, decode_png  # heavy, and such files are rare

    stream.seek(0)
    data = stream.read()
    try:
        decoded = decode_png(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.UNCHANGED)
    except RuntimeError:
        raise Unusable("it is damaged or truncated (its pixels cannot be decoded)") from None
    values: Values = decoded.permute(1, 2, 0).numpy()
    mode = {2: "RGB", 4: "LA", 6: "RGBA"}[header[25]]
    clear = next((body for kind, body, _ in _chunks(data) if kind == b"tRNS"), b"")
    if mode == "RGB" and len(clear) == 6:
        shown = (values != np.array(struct.unpack(">HHH", clear))).any(-1)
        values, mode = np.dstack([values, shown * np.uint16(65535)]), "RGBA"
    return Samples(values, mode)


def check_rows(stream: BinaryIO, image: Image.Image) -> None:
    """Refuse a decoded image whose data end before its last row: Pillow leaves the missing rows black.

    Data that end too early leave zeros, so a last row with another value shows that they are all there.
    """
    interlaced = bool(image.info.get("interlace"))
    last = np.asarray(image.crop((0, image.height - 1, image.width, image.height)))
    if last.any() and not interlaced:
        return
    stream.seek(0)
    data = stream.read()
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    expected = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            expected += rows * (1 + (columns * depth * _CHANNELS[kind] + 7) // 8)
    packed = b"".join(body for name, body, _ in _chunks(data) if name == b"IDAT")
    if len(zlib.decompressobj().decompress(packed, expected)) < expected:
        raise Unusable("it is damaged or truncated (its last rows are missing)")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Kind, body and all bytes of each chunk."""
    place = len(MAGIC)
    while place + 12 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], data[place + 8 : end - 4], data[place:end]
        place = end
