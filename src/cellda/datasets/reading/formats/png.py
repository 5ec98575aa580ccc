"""PNG beyond what Pillow does: colours of 16 bits, long texts beside a sound image, and data that are damaged or missing."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import numpy as np
import torch

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
    found = Samples(values, mode)
    return replace(found, bits=_stated_bits(data, found.colours))


def grey_bits(stream: BinaryIO, values: Values) -> int | None:
    """Significant bits of a grey PNG of 16 bits; None if it states none.

    Args:
        stream: The bytes of the file.
        values: Its samples.
    """
    stream.seek(0)
    return _stated_bits(stream.read(), values)


def _stated_bits(data: bytes, colours: Values) -> int | None:
    """Bits of samples that the chunk sBIT states for all colours alike; None if it does not.

    The standard scales samples to 16 bits and tells with sBIT how many they had; programs that store the samples of a camera
    as they are tell the same. Values that use the low bits without the high ones are not scaled.
    """
    stated = next((body for kind, body, _ in _chunks(data) if kind == b"sBIT"), b"")
    bits = set(stated[: 1 if colours.ndim == 2 or colours.shape[-1] == 1 else 3])
    if len(bits) != 1 or not 8 <= (few := bits.pop()) < 16:
        return None
    if int(colours.max(initial=0)) >= 2**few:
        return 16
    return few if (colours % 2 ** (16 - few)).any() else None


def check_whole(stream: BinaryIO) -> None:
    """Refuse an image whose data are damaged or end before its last row.

    Pillow checks neither the sums of the chunks nor the end of the compressed data: it leaves missing rows black, and
    decodes what an interrupted copy left at the end.
    """
    stream.seek(0)
    data = stream.read()
    packed = []
    for name, body, whole in _chunks(data):
        if name == b"IDAT":
            if zlib.crc32(whole[4:-4]) != int.from_bytes(whole[-4:], "big"):
                raise Unusable("it is damaged or truncated (the checksum of its pixels is wrong)")
            packed.append(body)
    unpacker = zlib.decompressobj()
    expected = _bytes_of_rows(data)
    # One byte more than the rows need, because the end of the data and their sum come after the last.
    found = len(unpacker.decompress(b"".join(packed), expected + 1))
    if found < expected or (found == expected and not unpacker.eof):
        raise Unusable("it is damaged or truncated (its last rows are missing)")


def _bytes_of_rows(data: bytes) -> int:
    """Bytes of all rows, of each pass, with the filter of each."""
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    passes = _ADAM7 if data[28] else ((0, 0, 1, 1),)
    count = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            count += rows * (1 + (columns * depth * _CHANNELS[kind] + 7) // 8)
    return count


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Kind, body and all bytes of each chunk."""
    place = len(MAGIC)
    while place + 12 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], data[place + 8 : end - 4], data[place:end]
        place = end
