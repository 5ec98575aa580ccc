"""Decode image files into uint8 RGB tensors, whatever a microscope, a phone or a paint program wrote.

Handled: grey, palette and 16-bit images (scaled, not clipped), CMYK, transparency (composited on white), EXIF
orientation, animated and multi-page files (first frame), crop boxes. Refused with a reason: missing, empty,
truncated and non-image files, images over `MAX_PIXELS`, fully transparent ones, pixel types without a defined
white (float, 32-bit integer), boxes outside the image.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from cellda.errors import DataError

if TYPE_CHECKING:
    from cellda.framing.base import Framing

Box = tuple[int, int, int, int]
"""`(x, y, width, height)` in pixels from the top left of the upright image (EXIF orientation applied)."""

MAX_PIXELS = 100_000_000
"""Images with more pixels are refused unread: a smear field does not need them, and one could fill the memory."""

_THREADS = min(8, os.cpu_count() or 1)


class _UnusableError(Exception):
    """Why one image cannot be used."""


def decode(path: Path, box: Box | None = None) -> UInt8[Tensor, "3 h w"]:
    """Decode one image, or the part of it inside `box`.

    Args:
        path: The image file.
        box: `(x, y, width, height)` in pixels; what exceeds the frame is cut off.

    Returns:
        `(3, H, W)` uint8 RGB.

    Raises:
        DataError: If the file is missing, empty, truncated, too large or not an image, or the box lies outside it.
    """
    try:
        with _quiet():
            pixels = np.array(_rgb(path, box))
    except _UnusableError as error:
        raise DataError(f"The image {path} cannot be used: {error}.") from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def decode_resized(files: Sequence[tuple[Path, Box | None]], size: int) -> UInt8[Tensor, "n 3 size size"]:
    """Decode images and resize each directly to `size` x `size`: bilinear, antialiased, aspect not kept.

    Args:
        files: Path and crop box (or None) of each image.
        size: Side of the result in pixels.

    Returns:
        `(N, 3, size, size)` uint8 RGB, in the order of `files`, channels-last in memory.

    Raises:
        DataError: If images cannot be used; the message lists them all with the reason.
    """
    out = np.empty((len(files), size, size, 3), dtype=np.uint8)

    def fill(index: int, image: Image.Image) -> None:
        out[index] = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))

    _each_decoded(files, fill)
    return torch.from_numpy(out).permute(0, 3, 1, 2)


def decode_framed(
    files: Sequence[tuple[Path, Box | None]], size: int, framing: "Framing"
) -> tuple[UInt8[Tensor, "n 3 size size"], Bool[Tensor, " n"]]:
    """Decode images, frame each, and resize the crop to `size` x `size`.

    Args:
        files: Path and crop box (or None) of each image.
        size: Side of the result in pixels.
        framing: Cuts each image.

    Returns:
        `(N, 3, size, size)` uint8 RGB, in the order of `files`, channels-last in memory; and in which of them the framing
        found what it searches for. The others are shown whole.

    Raises:
        DataError: If images cannot be used; the message lists them all with the reason.
    """
    out = np.empty((len(files), size, size, 3), dtype=np.uint8)
    found = np.zeros(len(files), dtype=bool)

    def fill(index: int, image: Image.Image) -> None:
        out[index], found[index] = framing.frame(np.array(image), size)

    _each_decoded(files, fill)
    return torch.from_numpy(out).permute(0, 3, 1, 2), torch.from_numpy(found)


def unusable(files: Sequence[tuple[Path, Box | None]], advance: Callable[[int], None]) -> dict[int, str]:
    """Decode every image completely and say which cannot be used: index into `files` -> reason.

    Args:
        files: Path and crop box (or None) of each image.
        advance: Called with 1 after each image, from the calling thread.
    """

    def why(index: int) -> str | None:
        try:
            _rgb(*files[index])
        except _UnusableError as error:
            return str(error)
        return None

    return _threaded(why, len(files), advance)


def frame_size(path: Path) -> tuple[int, int]:
    """`(width, height)` of the upright image, read from the file's header alone (which holds its EXIF, too).

    Raises:
        DataError: If the file is missing, empty or not an image.
    """
    try:
        with _quiet(), _opened(path) as image:
            width, height = image.size
            # The base class's method, because that of PNG decodes the pixels to search for EXIF after them.
            orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
            # Orientations 5 to 8 swap the sides; Pillow reports TIFF sizes upright already.
            turned = image.format != "TIFF" and orientation >= 5
    except _UnusableError as error:
        raise DataError(f"The image {path} cannot be used: {error}.") from error
    return (height, width) if turned else (width, height)


def outside(box: Box, size: tuple[int, int]) -> bool:
    """Whether a box of positive size shares no pixel with a frame of `(width, height)`."""
    x, y, width, height = box
    return x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0


def decode_each(
    files: Sequence[tuple[Path, Box | None]], use: Callable[[int, Image.Image], None]
) -> dict[int, str]:
    """Call `use` with the index of every image and the decoded RGB image, in several threads.

    Args:
        files: Path and crop box (or None) of each image.
        use: Called in the thread that decoded the image.

    Returns:
        Why images cannot be used: index into `files` -> reason.
    """

    def job(index: int) -> str | None:
        try:
            image = _rgb(*files[index])
        except _UnusableError as error:
            return str(error)
        use(index, image)
        return None

    return _threaded(job, len(files))


def _each_decoded(files: Sequence[tuple[Path, Box | None]], use: Callable[[int, Image.Image], None]) -> None:
    """As `decode_each`.

    Raises:
        DataError: If images cannot be used; the message lists them all with the reason.
    """
    reasons = decode_each(files, use)
    if reasons:
        raise DataError(
            f"{len(reasons)} of {len(files)} images cannot be used; fix or remove them.",
            [f"{files[index][0]}: {reason}" for index, reason in reasons.items()],
        )


def _threaded(
    job: Callable[[int], str | None], count: int, advance: Callable[[int], None] = lambda _steps: None
) -> dict[int, str]:
    """Run `job` on every index in a bounded pool (Pillow decodes without the GIL); return its reasons, by index."""
    reasons = {}
    with _quiet(), ThreadPoolExecutor(max_workers=_THREADS) as pool:
        for index, reason in enumerate(pool.map(job, range(count))):
            if reason is not None:
                reasons[index] = reason
            advance(1)
    return reasons


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Pillow's warnings about odd but readable files; unreadable ones are reported as errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The opened, not yet decoded image; everything Pillow raises inside becomes `_UnusableError`."""
    try:
        if path.stat().st_size == 0:
            raise _UnusableError("the file is empty")
        with Image.open(path) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise _UnusableError(
                    f"{width} x {height} pixels are over the limit of {MAX_PIXELS // 1_000_000} megapixels; "
                    "crop the cells out of it first"
                )
            yield image
    except _UnusableError:
        raise
    except FileNotFoundError:
        raise _UnusableError("the file does not exist") from None
    except IsADirectoryError:
        raise _UnusableError("it is a folder") from None
    except PermissionError:
        raise _UnusableError("reading it is not permitted") from None
    except UnidentifiedImageError:
        raise _UnusableError("it is not an image of a known format") from None
    except Image.DecompressionBombError:
        raise _UnusableError(f"it has more than {MAX_PIXELS // 1_000_000} megapixels") from None
    except Exception as error:  # Pillow's decoders raise almost any exception on broken bytes
        raise _UnusableError(f"it is damaged or truncated ({error or type(error).__name__})") from error


def _rgb(path: Path, box: Box | None) -> Image.Image:
    """The decoded, upright, cropped image in mode RGB."""
    with _opened(path) as image:
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        upright = _to_rgb(image, image.format)
    if box is None:
        return upright
    if outside(box, upright.size):
        raise _UnusableError(f"the box {box} lies outside the image of {upright.width} x {upright.height}")
    x, y, width, height = box
    right, bottom = min(x + width, upright.width), min(y + height, upright.height)
    return upright.crop((max(x, 0), max(y, 0), right, bottom))


def _to_rgb(image: Image.Image, file_format: str | None) -> Image.Image:
    # Pillow itself scales 16-bit colour to 8 bits; 16-bit grey arrives as I;16, from PGM as I.
    if image.mode.startswith("I;16") or (image.mode == "I" and file_format == "PPM"):
        return _grey16(np.asarray(image))
    if image.mode in ("I", "F"):
        kind = "floats" if image.mode == "F" else "32-bit integers"
        raise _UnusableError(f"its pixels are {kind}, which do not define white; save it with 8 or 16 bits")
    if image.has_transparency_data:
        return _over_white(image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it


def _grey16(values: "np.ndarray[Any, np.dtype[Any]]") -> Image.Image:
    """16-bit grey to RGB: 65535 becomes 255, rounded."""
    grey = ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    extrema = image.getchannel("A").getextrema()
    if extrema == (255, 255):
        return image.convert("RGB")
    if extrema == (0, 0):
        raise _UnusableError("every pixel is transparent")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
