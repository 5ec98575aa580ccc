"""An image file, open and not yet decoded; whatever goes wrong with it becomes one exception with a reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from cellda.datasets.reading.names import HEIF_SUFFIXES, reads_heif, suffix

MAX_PIXELS = 100_000_000
"""Images with more pixels are refused unread: a smear field does not need them, and one could fill the memory."""


class Unusable(Exception):
    """Why one image cannot be used."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of an image file; everything that is raised inside becomes `Unusable`."""
    if suffix(path.name) in HEIF_SUFFIXES and not reads_heif():
        raise Unusable("reading HEIC needs the package pillow-heif: pip install 'cellda[heif]'")
    try:
        with path.open("rb") as stream:
            if not stream.peek(1):
                raise Unusable("the file is empty")
            yield stream
    except Unusable:
        raise
    except FileNotFoundError:
        raise Unusable("the file does not exist") from None
    except IsADirectoryError:
        raise Unusable("it is a folder") from None
    except PermissionError:
        raise Unusable("reading it is not permitted") from None
    except UnidentifiedImageError:
        raise Unusable("it is not an image of a known format") from None
    except Image.DecompressionBombError:
        raise Unusable(f"it has more than {MAX_PIXELS // 1_000_000} megapixels") from None
    except MemoryError:
        raise Unusable("it needs more memory than there is") from None
    except Exception as error:  # decoders raise almost any exception on broken bytes
        raise Unusable(f"it is damaged or truncated ({error or type(error).__name__})") from error


def bounded(width: int, height: int) -> tuple[int, int]:
    """`(width, height)`, refused if that is more than `MAX_PIXELS`."""
    if width * height > MAX_PIXELS:
        raise Unusable(
            f"{width} x {height} pixels are over the limit of {MAX_PIXELS // 1_000_000} megapixels; crop the cells out of "
            "it first"
        )
    return width, height
