"""What scientific programs say of a TIFF file next to its tags: channels in separate planes, and significant bits."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np
from tifffile import TiffFile

from cellda.datasets.reading.formats.opened import Unusable
from cellda.datasets.reading.formats.samples import Values

AS_RGB = "save it in RGB (ImageJ: Image > Type > RGB Color)"
"""What to do with a file whose colours are unclear."""

_PRIMARIES = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
_NAMES = ("red", "green", "blue")
_SHORT = {name[0]: name for name in _NAMES}


def order_of_planes(file: TiffFile) -> tuple[int, ...] | None:
    """Numbers of the red, green and blue plane as ImageJ or OME states them; None if the first page is the whole image.

    Raises:
        Unusable: If there are several planes that are not red, green and blue, or several images.
    """
    if file.is_imagej:
        return _imagej_order(file.imagej_metadata or {})
    return _ome_order(_pixels(file)) if file.is_ome else None


def planes(file: TiffFile, order: tuple[int, ...]) -> Values:
    """`(H, W, 3)`: the planes of an image, in the order of red, green and blue.

    Raises:
        Unusable: If they are not images of 8 or 16 bits.
    """
    series = file.series[0]
    stacked = series.asarray()
    if stacked.ndim != 3 or stacked.shape[0] != 3 or stacked.dtype not in (np.uint8, np.uint16):
        raise Unusable(f"it holds planes of {series.shape} ({series.axes}); {AS_RGB}")
    colours: Values = np.moveaxis(stacked[list(order)], 0, -1)
    return colours


def stated_bits(file: TiffFile) -> int | None:
    """Significant bits of 16-bit samples that the file states: in OME, by ImageJ's range, or as the tag MaxSampleValue."""
    page: Any = file.pages[0]
    if page.bitspersample in range(9, 16):
        return int(page.bitspersample)
    if file.is_ome:
        stated = _pixels(file).get("SignificantBits", "")
        if stated.isdigit() and 8 <= int(stated) <= 16:
            return int(stated)
    told = file.imagej_metadata or {}
    if told.get("min", 0) == 0 and "max" in told:
        return _bits_of(told["max"])
    tag = page.tags.get(281)
    return None if tag is None else _bits_of(max(np.atleast_1d(tag.value)))


def _bits_of(white: Any) -> int | None:
    """The bits whose highest value is `white`; a maximum that was only measured is none of those values."""
    return next((bits for bits in range(8, 17) if white == 2**bits - 1), None)


def _imagej_order(told: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The planes of red, green and blue; None if there is one plane."""
    images, channels = int(told.get("images", 1)), int(told.get("channels", 1))
    if images == 1:
        return None
    _refuse_stack(int(told.get("slices", 1)), int(told.get("frames", 1)))
    if channels != 3 or images != 3:
        raise Unusable(f"it holds {max(channels, images)} channels or images as planes; {AS_RGB}")
    colours = [tuple(int(part[-1]) for part in table) for table in told.get("LUTs", ())]
    return _order(colours or _PRIMARIES, _PRIMARIES)


def _pixels(file: TiffFile) -> ElementTree.Element:
    """The description of the one image in an OME-TIFF file."""
    root = ElementTree.fromstring(file.ome_metadata or "")
    found = [element for element in root.iter() if element.tag.endswith("}Pixels") or element.tag == "Pixels"]
    if len(found) != 1:
        raise Unusable(f"its OME description names {len(found)} images; save the one that shows the cell")
    return found[0]


def _ome_order(pixels: ElementTree.Element) -> tuple[int, ...] | None:
    """The planes of red, green and blue; None if there is one plane."""
    _refuse_stack(int(pixels.get("SizeZ", 1)), int(pixels.get("SizeT", 1)))
    channels = [element for element in pixels if element.tag.rpartition("}")[2] == "Channel"]
    if int(pixels.get("SizeC", 1)) == 1 or (
        len(channels) == 1 and channels[0].get("SamplesPerPixel") == pixels.get("SizeC")
    ):
        return None
    if len(channels) != 3 or any(channel.get("SamplesPerPixel", "1") != "1" for channel in channels):
        raise Unusable(f"it holds {pixels.get('SizeC')} channels as planes; {AS_RGB}")
    names = [channel.get("Name", "").strip().lower() for channel in channels]
    names = [_SHORT.get(name, name) for name in names]
    if sorted(names) == sorted(_NAMES):
        return _order(names, _NAMES)
    colours = [_rgb(channel.get("Color", "-1")) for channel in channels]
    return _order(colours, _PRIMARIES)


def _rgb(packed: str) -> tuple[int, ...]:
    """Red, green and blue of OME's signed 32-bit colour, whose last byte is alpha."""
    return tuple((int(packed) & 0xFFFFFFFF).to_bytes(4, "big")[:3])


def _order(found: Sequence[Any], wanted: Sequence[Any]) -> tuple[int, ...]:
    if len(found) != 3 or set(found) != set(wanted):
        raise Unusable(f"its three channels are not shown in red, green and blue; {AS_RGB}")
    return tuple(found.index(one) for one in wanted)


def _refuse_stack(slices: int, frames: int) -> None:
    if slices > 1 or frames > 1:
        what = f"{slices} slices" if slices > 1 else f"{frames} frames"
        raise Unusable(f"it holds a stack of {what}; save the one that shows the cell")
