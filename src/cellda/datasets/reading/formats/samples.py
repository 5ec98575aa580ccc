"""Samples as a file stores them, and their 8 bits: scaled by the range that the camera used, never by a guessed one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from cellda.datasets.reading.formats.opened import Unusable

Values = np.ndarray[Any, np.dtype[Any]]

UNCLEAR = 2**14
"""16-bit values that all lie below may come from a camera of 10, 12 or 14 bits: they do not tell what white is."""

_TRANSPARENT = ("LA", "La", "RGBA", "RGBa")


@dataclass(frozen=True)
class Samples:
    """Decoded samples of one image, before they are scaled.

    Attributes:
        values: `(H, W)` or `(H, W, S)` uint8 or uint16.
        mode: Pillow's mode of the same samples with 8 bits (`"L"`, `"LA"`, `"RGB"`, `"RGBa"`, `"CMYK"`, ...).
        bits: Significant bits that the file states; None if it only says how many are stored.
        inverted: Whether 0 is white.
        palette: Red, green and blue of each value of mode `"P"`.
        orientation: As in EXIF: 1 is upright.
    """

    values: Values
    mode: str
    bits: int | None = None
    inverted: bool = False
    palette: bytes | None = None
    orientation: int = 1

    @property
    def deep(self) -> bool:
        """Whether more than 8 bits are stored."""
        return self.values.dtype != np.uint8

    @property
    def colours(self) -> Values:
        """The samples without alpha."""
        return self.values[..., :-1] if self.mode in _TRANSPARENT else self.values

    def image(self, bits: int | None) -> Image.Image:
        """The image with 8 bits, its orientation as EXIF.

        Args:
            bits: Significant bits of 16-bit images that the user states; None takes those that the file states.

        Raises:
            Unusable: If neither states them and the values do not tell, or values do not fit into them.
        """
        values = self._scaled(bits) if self.deep else self.values
        if self.inverted:
            values = 255 - values
        image = Image.frombytes(self.mode, values.shape[1::-1], np.ascontiguousarray(values).tobytes())
        if self.palette is not None:
            image.putpalette(self.palette)
        if self.mode in ("La", "RGBa"):  # colours that are multiplied by alpha already
            image = image.convert(f"{self.mode[:-1]}A")
        if self.orientation != 1:
            image.getexif()[0x0112] = self.orientation
        return image

    def _scaled(self, given: int | None) -> Values:
        """8 bits of each sample; alpha has the bits of the colours, unless it reaches further."""
        colours = self.colours
        highest = int(colours.max(initial=0))
        bits = given or self.bits
        if bits is None:
            if 0 < highest < UNCLEAR:
                raise Unusable(unclear(highest))
            bits = 16
        white = 2**bits - 1
        if highest > white:
            raise Unusable(
                f"its values reach {highest}, more than the {white} of {bits} bits; state the bits of the camera"
            )
        scaled = _to_8_bits(colours, white)
        if colours is self.values:
            return scaled
        alpha = self.values[..., -1:]
        return np.dstack([scaled, _to_8_bits(alpha, white if alpha.max(initial=0) <= white else 65535)])


def _to_8_bits(values: Values, white: int) -> Values:
    """`white` becomes 255, rounded."""
    # Looking up each value in a table is faster than arithmetic on all pixels.
    table = (np.arange(white + 1, dtype=np.uint32) * 255 + white // 2) // white
    scaled: Values = table.astype(np.uint8)[values]
    return scaled


def unclear(highest: int) -> str:
    """Why 16-bit values that reach only `highest` are refused, and what to do."""
    bits = next(bits for bits in (8, 10, 12, 14) if highest < 2**bits)
    return (
        f"its 16-bit values reach only {highest}, so white may be {2**bits - 1} ({bits} bits) or 65535 (16 bits); state the "
        f"significant bits of the camera (bits={bits}, --bits {bits}) or save it with 8 bits"
    )
