"""The base class of framings, which choose a part of one decoded image and cut it out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from cellda.framing.scale import ALIKE
from cellda.framing.scale import Found as Found
from cellda.imaging.nucleus import Pixels as Pixels
from cellda.imaging.nucleus import look
from cellda.imaging.padding import background, find_smear

Box = tuple[int, int, int, int]
"""`(x, y, width, height)` in pixels from the top left; it may extend beyond the image."""

UNSURE = 0.4
"""Confidence below which a framing did not find what it looks for."""
SURE = 1 / ALIKE
"""Confidence from which what it found is shown as it is."""


class Framing(ABC):
    """Choose which part of an image the classifier sees; it is cut out after decoding and before resizing.

    Options are the typed keyword arguments of `__init__`. Each image is framed on its own; a framing that needs to know the
    other images of a dataset learns options from them beforehand (`measure`, `learned`).

    Attributes:
        cuts: Whether the framing cuts anything; if not, images are read as they are.
        least: Number of images from which it learns options; 0 if it learns none.
    """

    name: ClassVar[str]
    cuts: ClassVar[bool] = True
    least: ClassVar[int] = 0

    @abstractmethod
    def box(self, image: Pixels) -> Box | None:
        """The part to show, or None if the framing does not find what it looks for; the image is then shown whole.

        Args:
            image: `(H, W, 3)` uint8 RGB.
        """

    def judged(self, image: Pixels) -> tuple[Box | None, float]:
        """The part to show, and the confidence that it is the right one.

        Args:
            image: `(H, W, 3)` uint8 RGB.

        Returns:
            The box as of `box`; and a number in [0, 1], below `UNSURE` if the framing did not find what it looks for, and 1
            if nothing speaks against what it found.
        """
        box = self.box(image)
        return box, float(box is not None)

    def measure(self, image: Pixels) -> Found | None:  # noqa: ARG002 (of framings that learn)
        """What `learned` needs to know of one image; None if there is nothing.

        Args:
            image: `(H, W, 3)` uint8 RGB.
        """
        return None

    def learned(self, found: Sequence[Found | None]) -> dict[str, Any]:  # noqa: ARG002 (the same)
        """The options that the images of one dataset decide, whatever their order; empty if there are too few.

        Args:
            found: What was measured in each image.
        """
        return {}

    def news(self, before: "Framing") -> str:  # noqa: ARG002 (the same)
        """What a user has to know of what was learned since `before`: a sentence, empty if there is nothing."""
        return ""

    def frame(self, image: Pixels, size: int) -> tuple[UInt8[np.ndarray, "size size 3"], float]:
        """Cut out the chosen part and resize it: bilinear, antialiased.

        Args:
            image: `(H, W, 3)` uint8 RGB.
            size: Side of the result in pixels.

        Returns:
            The framed image, and the confidence as of `judged`.
        """
        box, confidence = self.judged(image)
        shown = Image.fromarray(image if box is None else cut(image, box))
        return np.asarray(shown.resize((size, size), Image.Resampling.BILINEAR)), confidence

    def frame_all(
        self, each: Callable[[Callable[[int, Pixels], None]], None], count: int, size: int
    ) -> tuple[UInt8[Tensor, "n 3 size size"], Float[Tensor, " n"]]:
        """Frame several images.

        Args:
            each: Calls what it is given with the number and the pixels of each image, in any order.
            count: Number of images.
            size: Side of the results in pixels.

        Returns:
            The framed images, channels-last in memory, and the confidence in each.
        """
        out = np.empty((count, size, size, 3), dtype=np.uint8)
        confidence = np.zeros(count, dtype=np.float32)

        def fill(place: int, image: Pixels) -> None:
            out[place], confidence[place] = self.frame(image, size)

        each(fill)
        return torch.from_numpy(out).permute(0, 3, 1, 2), torch.from_numpy(confidence)


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
