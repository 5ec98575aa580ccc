"""Decode image files into uint8 RGB tensors, whatever a microscope, a phone or a paint program wrote.

Handled: grey, palette and 16-bit images (scaled by the range that the camera used), CMYK, transparency (composited on
white), EXIF orientation, scientific TIFF, smaller copies next to an image (passed over), crop boxes. Refused with a reason and
the remedy: missing, empty, truncated and non-image files, too large and fully transparent images, pixel types without a
defined white (float, 32-bit integer), 16-bit values whose white nobody states, films, channels and pages that could mean
several things, boxes outside the image.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from pydantic import Field
from torch import Tensor

from cellda.datasets.reading.formats.image import decoded
from cellda.datasets.reading.formats.image import size as upright_size
from cellda.datasets.reading.formats.opened import Unusable, opened
from cellda.errors import DataError
from cellda.text import counted

Bits = Annotated[int, Field(ge=8, le=16)]
"""Significant bits of a sample."""

Box = tuple[int, int, int, int]
"""`(x, y, width, height)` in pixels from the top left of the upright image (EXIF orientation applied)."""

_THREADS = min(8, os.cpu_count() or 1)


def decode(path: Path, box: Box | None = None, *, bits: int | None = None) -> UInt8[Tensor, "3 h w"]:
    """Decode one image, or the part of it inside `box`.

    Args:
        path: The image file.
        box: `(x, y, width, height)` in pixels; what exceeds the frame is cut off.
        bits: See `decode_resized`.

    Returns:
        `(3, H, W)` uint8 RGB.

    Raises:
        DataError: If the file is missing, empty, truncated, too large or not an image, or the box lies outside it.
    """
    try:
        with _quiet():
            pixels = np.array(_part(_upright(path, bits), box))
    except Unusable as error:
        raise DataError(f"The image {path} cannot be used: {error}.") from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def decode_resized(
    files: Sequence[tuple[Path, Box | None]], size: int, *, bits: int | None = None
) -> UInt8[Tensor, "n 3 size size"]:
    """Decode images and resize each directly to `size` x `size`: bilinear, antialiased, aspect not kept.

    Args:
        files: Path and crop box (or None) of each image.
        size: Side of the result in pixels.
        bits: Significant bits that the camera records, of images that are stored with 16; None takes what the files state.

    Returns:
        `(N, 3, size, size)` uint8 RGB, in the order of `files`, channels-last in memory.

    Raises:
        DataError: If images cannot be used; the message lists them all with the reason.
    """
    out = np.empty((len(files), size, size, 3), dtype=np.uint8)

    def fill(index: int, image: Image.Image) -> None:
        out[index] = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))

    decode_every(files, fill, bits=bits)
    return torch.from_numpy(out).permute(0, 3, 1, 2)


def unusable(
    files: Sequence[tuple[Path, Box | None]], advance: Callable[[int], None], *, bits: int | None = None
) -> dict[int, str]:
    """Decode every image completely and say which cannot be used: index into `files` -> reason.

    Args:
        files: Path and crop box (or None) of each image.
        advance: Called with the number of images after each file, from the calling thread.
        bits: See `decode_resized`.
    """
    return decode_each(files, lambda _index, _image: None, bits=bits, advance=advance)


def frame_size(path: Path) -> tuple[int, int]:
    """`(width, height)` of the upright image, read from the file's header alone (which holds its EXIF, too).

    Raises:
        DataError: If the file is missing, empty or not an image.
    """
    try:
        with _quiet(), opened(path) as stream:
            return upright_size(stream)
    except Unusable as error:
        raise DataError(f"The image {path} cannot be used: {error}.") from error


def outside(box: Box, size: tuple[int, int]) -> bool:
    """Whether a box of positive size shares no pixel with a frame of `(width, height)`."""
    x, y, width, height = box
    return x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0


def decode_each(
    files: Sequence[tuple[Path, Box | None]],
    use: Callable[[int, Image.Image], None],
    *,
    bits: int | None = None,
    advance: Callable[[int], None] = lambda _count: None,
) -> dict[int, str]:
    """Call `use` with the index of every image and the decoded RGB image, in several threads.

    A file of which consecutive boxes are asked for is decoded once.

    Args:
        files: Path and crop box (or None) of each image.
        use: Called in the thread that decoded the image.
        bits: See `decode_resized`.
        advance: Called with the number of images after each file, from the calling thread.

    Returns:
        Why images cannot be used: index into `files` -> reason.
    """
    groups = [list(indices) for _, indices in groupby(range(len(files)), key=lambda index: files[index][0])]

    def job(indices: list[int]) -> dict[int, str]:
        try:
            upright = _upright(files[indices[0]][0], bits)
        except Unusable as error:
            return dict.fromkeys(indices, str(error))
        reasons = {}
        for index in indices:
            try:
                part = _part(upright, files[index][1])
            except Unusable as error:
                reasons[index] = str(error)
            else:
                use(index, part)
        return reasons

    reasons: dict[int, str] = {}
    # Pillow decodes without the GIL.
    with _quiet(), ThreadPoolExecutor(max_workers=_THREADS) as pool:
        for indices, found in zip(groups, pool.map(job, groups), strict=True):
            reasons |= found
            advance(len(indices))
    return reasons


def decode_every(
    files: Sequence[tuple[Path, Box | None]],
    use: Callable[[int, Image.Image], None],
    *,
    bits: int | None = None,
) -> None:
    """As `decode_each`, for images all of which are needed.

    Raises:
        DataError: If images cannot be used; the message lists them all with the reason.
    """
    reasons = decode_each(files, use, bits=bits)
    if reasons:
        raise DataError(
            f"{len(reasons)} of {counted(len(files), 'image(s)')} cannot be used; fix or remove them.",
            [f"{files[index][0]}: {reason}" for index, reason in reasons.items()],
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Pillow's warnings about odd but readable files; unreadable ones are reported as errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _upright(path: Path, bits: int | None) -> Image.Image:
    """The decoded, upright image in mode RGB."""
    with opened(path) as stream:
        return decoded(stream, bits)


def _part(upright: Image.Image, box: Box | None) -> Image.Image:
    """The part of an image inside a box; all of it without one."""
    if box is None:
        return upright
    if outside(box, upright.size):
        raise Unusable(f"the box {box} lies outside the image of {upright.width} x {upright.height}")
    x, y, width, height = box
    right, bottom = min(x + width, upright.width), min(y + height, upright.height)
    return upright.crop((max(x, 0), max(y, 0), right, bottom))
