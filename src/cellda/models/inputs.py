"""What a prediction takes: files, folders, patterns, boxes, Pillow images, arrays; each becomes one `Picture`.

A picture is read when its turn comes, so that a generator of millions needs no memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from cellda.data.own_cells import image_files, matching
from cellda.datasets.reading.decode import Box
from cellda.datasets.reading.formats.whole import whole_images
from cellda.errors import DataError
from cellda.runtime.given import path_of

Pixels = UInt8[np.ndarray, "h w 3"]


class UnreadableError(Exception):
    """Why one image in memory cannot be read."""


@dataclass(frozen=True)
class Picture:
    """One image to predict: a file, or a part of it, or pixels in memory.

    Attributes:
        name: Path of the file, or the number of the image.
        path: The file; None for pixels in memory.
        box: `(x, y, width, height)` in pixels of the upright image; None for the whole image.
        pixels: What is in memory: a Pillow image or an array.
        group: The slide or patient it belongs to (`"anna/slide 2"`); empty if that is not known.
    """

    name: str
    path: Path | None = None
    box: Box | None = None
    pixels: Any = None
    group: str = ""

    @classmethod
    def of(cls, given: Any, number: int) -> "Picture":
        """The picture that an element of a sequence or of a generator is.

        Raises:
            DataError: If it is not an image.
        """
        if isinstance(given, Picture):
            return given
        if isinstance(given, str | Path):
            path = path_of(given)
            return cls(str(path), path)
        if isinstance(given, Image.Image | np.ndarray | Tensor):
            return cls(f"image {number}", pixels=given)
        raise DataError(
            f"Image {number} is a {type(given).__name__}; give paths, Pillow images, arrays (H, W, 3) or tensors (3, H, W)."
        )


def pictures(given: Any) -> Iterable[Picture]:
    """The pictures that `predict` was given; those of a generator are made when they are asked for.

    Raises:
        DataError: If `given` is not one of the accepted kinds, a folder holds no image, or a pattern matches none.
    """
    if isinstance(given, str | Path):
        return list(_pictures(given, 0))
    if isinstance(given, Image.Image):
        return [Picture.of(given, 0)]
    if isinstance(given, np.ndarray):
        given = _images_of(given)
    elif isinstance(given, Tensor):
        given = _images_in(given)
    if isinstance(given, Mapping | pd.DataFrame):
        raise DataError(
            f"A {type(given).__name__} cannot be predicted, because it does not say which of its parts are the images; give "
            "them alone, for example table['path'] or images.values()."
        )
    if isinstance(given, Iterable):
        return (picture for number, one in enumerate(given) for picture in _pictures(one, number))
    raise DataError(
        f"A {type(given).__name__} cannot be predicted; give a folder, a pattern such as 'cells/*.png', paths, Pillow images, "
        "arrays (H, W, 3) or (N, H, W, 3), or a tensor (3, H, W) or (N, 3, H, W)."
    )


def rgb(picture: Picture) -> Pixels:
    """Pixels in memory as `(H, W, 3)` uint8 RGB.

    Raises:
        DataError: If they are not an RGB image; the message says what to do.
        UnreadableError: If a Pillow image cannot be read from its file.
    """
    given, name = picture.pixels, picture.name.capitalize()
    if isinstance(given, Image.Image):
        if given.mode != "RGB":
            raise DataError(f"{name} has the mode {given.mode}; convert it first: image.convert('RGB').")
        if getattr(given, "is_animated", False) and given.format != "MPO":
            raise DataError(
                f"{name} is a film of several frames; give a copy of the one that shows the cell."
            )
        try:
            with whole_images():
                return np.array(ImageOps.exif_transpose(given))
        except Exception as error:  # opened, but not yet read: Pillow's decoders raise almost any exception
            raise UnreadableError(f"it is damaged or truncated ({error or type(error).__name__})") from error
    if isinstance(given, Tensor):
        if given.ndim != 3 or given.shape[0] != 3:
            raise DataError(f"{name} is a tensor {tuple(given.shape)}; a tensor has the shape (3, H, W).")
        given = given.detach().cpu().permute(1, 2, 0)
        # numpy does not know bfloat16
        given = (given.float() if given.dtype == torch.bfloat16 else given).numpy()
    return _bytes(_checked(np.asarray(given), name), name)


def _pictures(given: Any, number: int) -> Iterator[Picture]:
    """The picture that an element is; of a folder or a pattern, those of its images."""
    if not isinstance(given, str | Path):
        yield Picture.of(given, number)
        return
    places = matching(given)
    if not places:
        raise DataError(f"No file matches the pattern {given}.")
    one = (
        len(places) == 1 and not places[0].is_dir()
    )  # also one that does not exist, which gets its reason when it is read
    for path in places if one else image_files(places):
        yield Picture.of(path, number)


def _images_of(given: "np.ndarray[Any, Any]") -> "Iterator[np.ndarray[Any, Any]]":
    """The images of one array."""
    if given.ndim == 4:
        if given.shape[-1] != 3:
            raise DataError(
                f"An array of images has the shape (N, H, W, 3); got {given.shape}{_hint(given.shape)}."
            )
        return iter(given)
    return iter([given])


def _images_in(given: Tensor) -> Iterator[Tensor]:
    """The images of one tensor."""
    if given.ndim == 3 and len(given) == 3:
        given = given[None]
    if given.ndim != 4 or given.shape[1] != 3:
        raise DataError(
            f"A tensor of RGB images has the shape (3, H, W) or (N, 3, H, W); got {tuple(given.shape)}."
        )
    return iter(given.detach().cpu())


def _checked(image: "np.ndarray[Any, Any]", name: str) -> "np.ndarray[Any, Any]":
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise DataError(
            f"{name} is an array {image.shape}; an RGB image has the shape (H, W, 3){_hint(image.shape)}."
        )
    return image


def _hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 2 or shape[-1:] == (1,):
        return "; a grey image shows no stain, and if yours was made grey, give the colours"
    if len(shape) == 3 and shape[0] == 3:
        return ": move its channels to the end, image.transpose(1, 2, 0)"
    if len(shape) == 4 and shape[1] == 3:
        return ": move their channels to the end, images.transpose(0, 2, 3, 1), or give a tensor"
    if shape[-1] == 4:
        return "; remove its alpha channel, image[..., :3]"
    return ""


def _bytes(image: "np.ndarray[Any, Any]", name: str) -> Pixels:
    """8-bit pixels, from 8-bit ones or from floats in [0, 1]."""
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if not np.issubdtype(image.dtype, np.floating):
        raise DataError(
            f"{name} holds {image.dtype}; give 8-bit values as uint8, or floats in [0, 1]: of {image.dtype}, it is not known "
            "which value is white."
        )
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"{name}: floats must lie in [0, 1]; got values from {low:.3g} to {high:.3g}. Give 8-bit values as uint8."
        )
    return np.ascontiguousarray((image.astype(np.float64) * 255).round().astype(np.uint8))
