"""Further images in one file: films and stacks are refused, because any of them may show the cell; previews are counted."""

from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from cellda.datasets.reading.formats import jpeg, tiff
from cellda.datasets.reading.formats.opened import Unusable, opened

_ENTRIES = 0xB002
_HEAD = 2 * 65536
"""Bytes at the beginning of a JPEG file in which its index of further pictures lies: after the EXIF, if there is one."""


def check_single(image: Image.Image) -> None:
    """Refuse an opened image that is one of several, unless the others are marked as previews of it, or are smaller in JPEG.

    Raises:
        Unusable: If it is.
    """
    if image.format == "MPO":
        _check_mpo(image)
    elif getattr(image, "is_animated", False):
        count = getattr(image, "n_frames", 2)
        raise Unusable(
            f"it holds {count} frames, and it is unclear which shows the cell; save that one as PNG"
        )


def previews(path: Path) -> int:
    """Number of smaller pictures in a file that are passed over: previews, levels of a pyramid, gain maps.

    It is 0 if the file cannot be read; whoever decodes it says so.
    """
    with suppress(Unusable), opened(path) as stream:
        head = stream.read(4)
        if head in tiff.MAGIC:
            return tiff.previews(stream)
        return _mpo_previews(stream) if head.startswith(jpeg.MAGIC) else 0
    return 0


def _mpo_previews(stream: BinaryIO) -> int:
    stream.seek(0)
    if b"MPF\0" not in stream.read(_HEAD):
        return 0
    stream.seek(0)
    with Image.open(stream) as image:
        return int(getattr(image, "n_frames", 1)) - 1


def _check_mpo(image: Image.Image) -> None:
    """Refuse the views of a stereo or panorama camera, and pictures of no stated kind that are as large as the first."""
    entries = getattr(image, "mpinfo", {}).get(_ENTRIES, ())
    size = image.size
    for number, entry in enumerate(entries[1:], start=1):
        kind = str(entry["Attribute"]["MPType"])
        image.seek(number)
        smaller = image.width < size[0] and image.height < size[1]
        if not (kind.startswith("Large Thumbnail") or (kind == "Undefined" and smaller)):
            raise Unusable(
                f"it holds {len(entries)} pictures, and it is unclear which shows the cell; save that one as PNG"
            )
    image.seek(0)
