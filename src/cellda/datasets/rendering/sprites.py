"""Stamp many small round objects (granules, vacuoles, red cells, platelets) into a batch of frames."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cellda.datasets.rendering.shapes import inside, smoothstep


@dataclass(frozen=True)
class Frame:
    """The field of view of a square image.

    Attributes:
        size: Side in pixels.
        width: Micrometres across.
        height: Micrometres down.
    """

    size: int
    width: float
    height: float

    @property
    def pixel(self) -> tuple[float, float]:
        """Width and height of one pixel in micrometres."""
        return self.width / self.size, self.height / self.size

    def grid(self) -> tuple[Tensor, Tensor]:
        """`(size, size)` x and y of the pixel centres in micrometres from the upper left corner."""
        across, down = self.pixel
        steps = torch.arange(self.size) + 0.5
        y, x = torch.meshgrid(steps * down, steps * across, indexing="ij")
        return x, y


@dataclass(frozen=True)
class Sprites:
    """Discs of several images, flattened: all tensors are `(M,)` except `centre`.

    Attributes:
        image: Index of the frame each is stamped into.
        centre: `(M, 2)` x, y in micrometres.
        radius: Mean radius in micrometres.
        aspect: Square root of the ratio of the half axes.
        angle: Angle of the long axis, radians.
        amount: Height of the stamp.
    """

    image: Tensor
    centre: Tensor
    radius: Tensor
    aspect: Tensor
    angle: Tensor
    amount: Tensor

    @classmethod
    def of_batch(
        cls, keep: Tensor, centre: Tensor, radius: Tensor, amount: Tensor, aspect: Tensor, angle: Tensor
    ) -> "Sprites":
        """Flatten `(B, K)` discs (`centre` is `(B, K, 2)`), keeping those where `keep` is true."""
        image = keep.nonzero()[:, 0]
        return cls(image, centre[keep], radius[keep], aspect[keep], angle[keep], amount[keep])

    def of_images(self, chosen: Tensor, frames: Tensor) -> "Sprites":
        """The discs of the images where `chosen` `(B,)` is true, moved to `frames` `(B,)`."""
        keep = chosen[self.image]
        return Sprites(
            frames[self.image[keep]],
            self.centre[keep],
            self.radius[keep],
            self.aspect[keep],
            self.angle[keep],
            self.amount[keep],
        )


def stamp(canvas: Tensor, frame: Frame, sprites: Sprites, softness: float, pallor: float = 0.0) -> None:
    """Add sprites to `canvas` `(B, size, size)` in place.

    Overlaps keep the larger value; with `pallor`, they add up, as optical densities of red cells do.

    Args:
        canvas: Receives the stamps.
        frame: The field of view of the canvas.
        sprites: The discs to stamp.
        softness: Half width of the edge in micrometres.
        pallor: Share of the height missing in the middle, as in biconcave red cells.
    """
    if not len(sprites.image):
        return
    across, down = frame.pixel
    # The window is as large as the largest disc needs; sorting by size is not worth it for discs of one kind.
    reach = float((sprites.radius * torch.maximum(sprites.aspect, 1 / sprites.aspect)).max()) + softness
    half_x, half_y = math.ceil(reach / across) + 1, math.ceil(reach / down) + 1
    column = (sprites.centre[:, 0] / across).floor().long()[:, None] + torch.arange(-half_x, half_x + 1)
    row = (sprites.centre[:, 1] / down).floor().long()[:, None] + torch.arange(-half_y, half_y + 1)
    dx = ((column + 0.5) * across - sprites.centre[:, :1])[:, None, :]
    dy = ((row + 0.5) * down - sprites.centre[:, 1:])[:, :, None]
    cos, sin = torch.cos(sprites.angle)[:, None, None], torch.sin(sprites.angle)[:, None, None]
    stretch, size = sprites.aspect[:, None, None], sprites.radius[:, None, None]
    u, v = (dx * cos + dy * sin) * stretch, (dy * cos - dx * sin) / stretch
    distance = torch.sqrt(u * u + v * v)
    value = inside(distance - size, softness) * sprites.amount[:, None, None]
    if pallor:
        # A dried red cell: a flat border around a dimple of about half its diameter.
        value = value * (1 - pallor * (1 - smoothstep(0.08, 0.7, distance / size)))
    # Pixels outside the frame are moved to its border, where they add nothing.
    seen_x, seen_y = (column >= 0) & (column < frame.size), (row >= 0) & (row < frame.size)
    value = value * seen_x[:, None] * seen_y[:, :, None]
    column, row = column.clamp(0, frame.size - 1), row.clamp(0, frame.size - 1)
    place = (sprites.image[:, None, None] * frame.size + row[:, :, None]) * frame.size + column[:, None, :]
    if pallor:
        canvas.view(-1).index_add_(0, place.view(-1), value.view(-1))
    else:
        canvas.view(-1).scatter_reduce_(0, place.view(-1), value.view(-1), "amax")
