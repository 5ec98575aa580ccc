"""What a check says of images that are not plain pictures of 8 bits: how deep they are, what they use of it, previews."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellda.datasets.reading.formats import jpeg, tiff
from cellda.datasets.reading.formats.further import previews
from cellda.datasets.reading.formats.image import magic_of, samples
from cellda.datasets.reading.formats.opened import Unusable, opened
from cellda.datasets.reading.formats.samples import Samples
from cellda.text import counted

_BMP = b"BM"


@dataclass(frozen=True)
class Storage:
    """How an image is stored.

    Attributes:
        deep: Whether a sample has more than 8 bits.
        bits: Significant bits that the file states; None if it states none.
        low: Lowest value of a deep image.
        high: Highest value of a deep image.
        previews: Number of smaller pictures in the file, which are passed over.
        planes: Whether red, green and blue are separate images in the file.
    """

    deep: bool = False
    bits: int | None = None
    low: int = 0
    high: int = 0
    previews: int = 0
    planes: bool = False


def storage(path: Path) -> Storage:
    """How a readable image is stored; the samples of ordinary JPEG, BMP and TIFF files are not read.

    Raises:
        Unusable: If it cannot be read.
    """
    smaller = previews(path)
    with opened(path) as stream:
        magic, planes, bits = magic_of(stream), False, 8
        if magic.startswith(tiff.MAGIC):
            planes, bits = tiff.kind(stream)
        if bits <= 8 and magic.startswith((jpeg.MAGIC, _BMP, *tiff.MAGIC)):
            return Storage(previews=smaller, planes=planes)
        found = samples(stream)
        if not isinstance(found, Samples) or not found.deep:
            return Storage(previews=smaller, planes=planes)
        low, high = int(np.min(found.colours)), int(np.max(found.colours))
        return Storage(True, found.bits, low, high, smaller, planes)


def unusual(files: Mapping[str, Path], bits: int | None = None) -> list[str]:
    """One line for each unusual kind of storage: how many images have it, and the first of them.

    Args:
        files: Readable images, by the name that the lines give them.
        bits: Significant bits that the user states.
    """
    kinds: dict[str, list[str]] = defaultdict(list)
    ranges: dict[str, list[Storage]] = defaultdict(list)
    for name, path in files.items():
        try:
            found = storage(path)
        except Unusable:
            continue  # named with its reason elsewhere
        if found.planes:
            kinds["red, green and blue are separate planes"].append(name)
        if found.previews:
            kinds[
                counted(found.previews, "smaller picture(s) in the same file, which (is|are) passed over")
            ].append(name)
        if found.deep:
            kind = f"16 bits stored, of which {bits or found.bits or 16} are taken as significant"
            kinds[kind].append(name)
            ranges[kind].append(found)
    return [
        f"{counted(len(names), 'image(s)')}: {kind}{_range(ranges[kind])} ({names[0]}{', ...' if names[1:] else ''})"
        for kind, names in kinds.items()
    ]


def _range(found: list[Storage]) -> str:
    if not found:
        return ""
    highest = [one.high for one in found]
    return f"; values from {min(one.low for one in found)} to {max(highest)}, the darkest image to {min(highest)}"
