"""What a check says of images that are not plain pictures of 8 bits: how deep they are, what they use of it, and pages."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cellda.datasets.reading.formats import jpeg, tiff
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
        images: Number of pages, frames or previews in the file, of which the first is read.
        planes: Whether red, green and blue are separate images in the file.
    """

    deep: bool = False
    bits: int | None = None
    low: int = 0
    high: int = 0
    images: int = 1
    planes: bool = False


def storage(path: Path) -> Storage:
    """How a readable image is stored; ordinary JPEG and BMP files are not opened further.

    Raises:
        Unusable: If it cannot be read.
    """
    with opened(path) as stream:
        magic = magic_of(stream)
        if magic.startswith((jpeg.MAGIC, _BMP)):
            return Storage()
        images, planes = 1, False
        if magic.startswith(tiff.MAGIC):
            images, planes, bits = tiff.kind(stream)
            if images == 1 and bits <= 8:
                return Storage()
        else:
            with Image.open(stream) as image:
                images = getattr(image, "n_frames", 1)
        found = samples(stream)
        if not isinstance(found, Samples) or not found.deep:
            return Storage(images=images, planes=planes)
        low, high = int(np.min(found.colours)), int(np.max(found.colours))
        return Storage(True, found.bits, low, high, images, planes)


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
        elif found.images > 1:
            kinds[f"{found.images} images in one file, of which the first is read"].append(name)
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
