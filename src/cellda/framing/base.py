"""The base class of framings, which choose a part of one decoded image and cut it out."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import Image
from torch import Tensor

from cellda.imaging.nucleus import Pixels as Pixels
from cellda.imaging.nucleus import look
from cellda.imaging.padding import background, find_smear

Box = tuple[int, int, int, int]
"""`(x, y, width, height)` in pixels from the top left; it may extend beyond the image."""


class Framing(ABC):
    """Choose which part of an image the classifier sees; it is cut out after decoding and before resizing.

    Options are the typed keyword arguments of `__init__`. Each image is framed on its own.

    Attributes:
        cuts: Whether the framing cuts anything; if not, images are read as they are.
    """

    name: ClassVar[str]
    cuts: ClassVar[bool] = True

    @abstractmethod
    def box(self, image: Pixels) -> Box | None:
        """The part to show, or None if the framing does not find what it looks for; the image is then shown whole.

        Args:
            image: `(H, W, 3)` uint8 RGB.
        """

    def frame(self, image: Pixels, size: int) -> tuple[UInt8[np.ndarray, "size size 3"], bool]:
        """Cut out the chosen part and resize it: bilinear, antialiased.

        Args:
            image: `(H, W, 3)` uint8 RGB.
            size: Side of the result in pixels.

        Returns:
            The framed image, and whether the framing found what it looks for; if not, the image is shown whole.
        """
        box = self.box(image)
        shown = Image.fromarray(image if box is None else cut(image, box))
        return np.asarray(shown.resize((size, size), Image.Resampling.BILINEAR)), box is not None


def frame_all(
    images: UInt8[Tensor, "b 3 h w"], framing: Framing, size: int
) -> tuple[UInt8[Tensor, "b 3 size size"], Bool[Tensor, " b"]]:
    """Frame decoded images of one size: the framed images, channels-last in memory, and whether each cell was found."""
    out = np.empty((len(images), size, size, 3), np.uint8)
    found = np.zeros(len(images), bool)
    for row, image in enumerate(images):
        out[row], found[row] = framing.frame(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()), size)
    return torch.from_numpy(out).permute(0, 3, 1, 2), torch.from_numpy(found)


def cut(image: Pixels, box: Box) -> Pixels:
    """The pixels inside a box; the part outside the image takes the colour of the empty smear.

    Reflections would show a cell at the edge twice, with two nuclei. Black padding is filled as well: normalizers recognise
    padding because it reaches the border, and the filling would separate it from the border.
    """
    x, y, width, height = box
    left, top = max(x, 0), max(y, 0)
    bottom, right = max(y + height, 0), max(x + width, 0)
    inside = image[top:bottom, left:right]
    small, smear = look(image)
    whole = inside.shape[:2] == (height, width)
    if whole and smear.all():
        return np.ascontiguousarray(inside)
    empty = (background(small, smear)[0] * 255).round().to(torch.uint8).numpy()
    if not smear.all():
        full = find_smear(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
        if full is not None:
            inside = np.where(full[0].numpy()[top:bottom, left:right, None], inside, empty)
    out = np.full((height, width, 3), empty, np.uint8)
    out[top - y : top - y + inside.shape[0], left - x : left - x + inside.shape[1]] = inside
    return out
