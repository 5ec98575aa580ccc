"""JPEG: data that end too early, although the file is closed; decoders fill what is missing with grey or coarser detail.

An image may be sent in several scans (T.81, G.1): of its components, of bands of coefficients, and of their bits. The
headers of the scans tell whether any is missing; whether the last one is complete shows when bytes are added to it.
"""

import io
import re
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from PIL import Image

from cellda.datasets.reading.formats.opened import Unusable

MAGIC = b"\xff\xd8"
_END = 0xD9
_SCAN = 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_ARITHMETIC = frozenset(range(0xC9, 0xD0))
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""What ends the data of a scan: a marker that does not only restart the decoder."""
_GREY = (127, 128)
_SMALL = 64 * 64
"""Pixels up to which a part of the last block is not a small part of an image."""
_OTHER = b"\x55" * 64
"""Bytes that are not the data of a grey block, whatever the code."""
_COEFFICIENTS = 64
_NOTHING = 255


def check_complete(stream: BinaryIO, image: Image.Image) -> None:
    """Refuse a decoded image whose scans are not all there, or whose data end before its last block.

    Decoders show the missing blocks of an image of one scan in mid-grey, so another last pixel shows that none is missing,
    except for a part of the last one. Otherwise, and in small images, bytes are added at the end of the data: a complete image
    does not change, in an incomplete one they become blocks.
    """
    stream.seek(0)
    data = stream.read()
    scans = _scans(data)
    if not scans.complete:
        raise Unusable("it is damaged or truncated (its last scans are missing)")
    last = image.getpixel((image.width - 1, image.height - 1))
    grey = all(value in _GREY for value in (last if isinstance(last, tuple) else (last,)))
    unclear = grey or scans.count > 1 or image.width * image.height <= _SMALL
    if not unclear or scans.kind in _ARITHMETIC:
        return
    end = scans.end or _next_marker(data, scans.start)
    if end is None:
        return
    # Bytes of 255 at the end fill up, or would begin a marker with what is added.
    longer = data[:end].rstrip(b"\xff") + _OTHER + data[end:]
    with Image.open(io.BytesIO(longer)) as other:
        if not np.array_equal(np.asarray(other), np.asarray(image)):
            raise Unusable("it is damaged or truncated (its last rows are missing)")


@dataclass
class _Scans:
    """What the headers of the scans tell.

    Attributes:
        kind: Marker of the frame, which tells how it is coded; 0 if there is none.
        left: Component -> for each coefficient, how many of its low bits are missing.
        count: Number of scans.
        start: Where the data of the last scan begin.
        end: Where they end, if that was looked for; an image of one complete scan needs no search.
    """

    kind: int = 0
    left: dict[int, bytearray] = field(default_factory=dict)
    count: int = 0
    start: int = 0
    end: int | None = None

    @property
    def complete(self) -> bool:
        """Whether every bit of every coefficient has been sent."""
        return self.kind == 0 or not any(map(any, self.left.values()))

    def add(self, header: bytes) -> None:
        """Enter the header of a scan, after its length."""
        count = header[0]
        first, last, bits = header[1 + 2 * count : 4 + 2 * count]
        if self.kind not in _PROGRESSIVE:
            first, last, bits = 0, _COEFFICIENTS - 1, 0
        for component in header[1 : 1 + 2 * count : 2]:
            if component in self.left:
                self.left[component][first : last + 1] = bytes([bits & 15]) * (last + 1 - first)
        self.count += 1


def _scans(data: bytes) -> _Scans:
    """The scans of the first image in the data; previews in the segments before it have scans of their own."""
    found, place = _Scans(), len(MAGIC)
    while place + 4 <= len(data):
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == _END:
            found.end = place
            break
        after = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        body = data[place + 4 : after]
        if marker in _FRAMES and len(body) > 5:
            found.kind = marker
            found.left = {component: bytearray([_NOTHING] * _COEFFICIENTS) for component in body[6::3]}
        elif marker == _SCAN and len(body) >= 4 + 2 * body[0]:
            found.add(body)
            found.start = after
            if found.kind not in _PROGRESSIVE and found.complete:
                break
            following = _next_marker(data, after)
            if following is None:
                break
            after = following
        place = after
    return found


def _next_marker(data: bytes, place: int) -> int | None:
    """Where the data of a scan end; None if nothing ends them."""
    found = _MARKER.search(data, place)
    return None if found is None else found.start()
