"""One image file as 8-bit RGB, upright, whatever its format; what Pillow reads without a loss is Pillow's."""

import re
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps

from cellda.datasets.reading.formats import jpeg, png, tiff
from cellda.datasets.reading.formats.channels import stated_bits
from cellda.datasets.reading.formats.ending import check_end
from cellda.datasets.reading.formats.further import check_single
from cellda.datasets.reading.formats.opened import Unusable, bounded
from cellda.datasets.reading.formats.samples import Samples
from cellda.datasets.reading.formats.whole import whole_images

_DARK = 2**6
"""High bytes of 16-bit colours that all lie below come from values that do not tell what white is."""
_HALF = 128
"""Alpha from which a pixel is visible."""
_VISIBLE = 0.01
"""Share of the pixels that must be visible; a cell that is cut out fills more of its image."""
_JPEG_2000 = b"\xff\x4f\xff\x51"


def decoded(stream: BinaryIO, bits: int | None) -> Image.Image:
    """The image in mode RGB.

    Args:
        stream: The bytes of the file.
        bits: Significant bits of images with more than 8 bits that the user states.

    Raises:
        Unusable: If it is damaged, or it is unclear what its samples mean.
    """
    found = samples(stream)
    image = found.image(bits) if isinstance(found, Samples) else found
    ImageOps.exif_transpose(image, in_place=True)
    return _to_rgb(image)


@whole_images()
def samples(stream: BinaryIO) -> Samples | Image.Image:
    """The samples as they are stored if Pillow would lose some of them; else its loaded image, not yet upright."""
    magic = magic_of(stream)
    found = None
    if magic.startswith(tiff.MAGIC):
        found = tiff.read(stream)
    if found is not None:
        return found
    image = _loaded(stream, magic)
    # Only now: libpng, as torchvision calls it, ends the process on a damaged file.
    if magic == png.MAGIC and (found := png.deep_png(stream)) is not None:
        return found
    # 16-bit grey arrives as I;16, from PGM as I, which Pillow has scaled to 16 bits.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        # White is what a PGM states, unless it states only the size of its samples.
        stated = 16 if image.format == "PPM" and _stated_white(stream) < 65535 else None
        values = np.asarray(image).astype(np.uint16)
        if image.format == "TIFF":
            with tiff.tagged(stream) as file:
                stated = stated_bits(file)
        elif magic == png.MAGIC:
            stated = png.grey_bits(stream, values)
        return Samples(values, "L", stated)
    if image.mode in ("I", "F"):
        kind = "floats" if image.mode == "F" else "32-bit integers"
        raise Unusable(f"its pixels are {kind}, which do not define white; save it with 8 or 16 bits")
    deep = (image.format == "JPEG2000" and _stored_bits(stream) > 8) or (
        image.format == "PPM" and image.mode == "RGB" and _stated_white(stream) == 65535
    )
    if deep and 0 < max(high for _, high in _extrema(image)) < _DARK:
        raise Unusable("its 16-bit colours are so dark that it is unclear what is white; save it with 8 bits")
    return image


def size(stream: BinaryIO) -> tuple[int, int]:
    """`(width, height)` of the upright image, from the file's header alone (which holds its EXIF, too)."""
    magic = magic_of(stream)
    if magic.startswith(tiff.MAGIC):
        return tiff.size(stream)
    image = _open(stream, magic)
    # The base class's method, because that of PNG decodes the pixels to search for EXIF after them.
    turned = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1) >= 5
    return image.size[::-1] if turned else image.size


def magic_of(stream: BinaryIO) -> bytes:
    """The first bytes of a file, which tell its format."""
    stream.seek(0)
    magic = stream.read(len(png.MAGIC))
    stream.seek(0)
    return magic


def _open(stream: BinaryIO, magic: bytes) -> Image.Image:
    if magic.startswith(tiff.MAGIC):
        return Image.open(stream.name)  # which it maps into memory; its size has been checked
    try:
        image = Image.open(stream)
    except ValueError:
        if magic != png.MAGIC:
            raise
        image = Image.open(png.without_texts(stream))
    bounded(*image.size)
    return image


def _loaded(stream: BinaryIO, magic: bytes) -> Image.Image:
    """The decoded image, all of whose rows are there."""
    image = _open(stream, magic)
    if not magic.startswith(tiff.MAGIC):  # of which the tags have said it
        check_single(image)
        check_end(stream, image)
    try:
        image.load()
    except Exception as error:
        if image.format == "TIFF":
            image.close()  # Pillow has opened the file itself
        if magic != png.MAGIC or not isinstance(error, ValueError):
            raise
        image = Image.open(png.without_texts(stream))  # texts may follow the pixels
        image.load()
    if magic == png.MAGIC:
        png.check_whole(stream)
    elif magic.startswith(jpeg.MAGIC):
        jpeg.check_complete(stream, image)
    return image


def _stated_white(stream: BinaryIO) -> int:
    """The largest value that the header of a PGM or PPM file states."""
    stream.seek(0)
    numbers = re.match(rb"P[2356](?:\s|#[^\n]*\n)+" + rb"(\d+)(?:\s|#[^\n]*\n)+" * 3, stream.read(4096))
    return int(numbers[3]) if numbers else 65535


def _stored_bits(stream: BinaryIO) -> int:
    """Bits of a sample in JPEG 2000."""
    stream.seek(0)
    head = stream.read(4096)
    place = head.find(_JPEG_2000)
    return (head[place + 42] & 0x7F) + 1 if 0 <= place < len(head) - 42 else 8


def _extrema(image: Image.Image) -> list[tuple[int, int]]:
    return [channel.getextrema() for channel in image.split()]  # type: ignore[misc]


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "LAB":
        raise Unusable("its colours are CIELAB; save it in RGB")
    if image.has_transparency_data:
        return _over_white(image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it


def _over_white(image: Image.Image) -> Image.Image:
    shares = np.bincount(np.asarray(image.getchannel("A")).ravel(), minlength=256) / (
        image.width * image.height
    )
    if shares[255] == 1:
        return image.convert("RGB")
    if shares[0] == 1:
        raise Unusable("every pixel is transparent")
    visible = float(shares[_HALF:].sum())
    if visible < _VISIBLE:
        raise Unusable(
            f"{visible:.1%} of its pixels are visible (alpha of at least {_HALF} of 255), fewer than the {_VISIBLE:.0%} of a "
            "cell; save it without transparency"
        )
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
