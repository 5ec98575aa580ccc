"""The eight symmetries of the square: a cell on a slide has no preferred orientation."""

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor, channels_last, contiguous_format


def dihedral_views(images: Float[Tensor, "b c s s"]) -> Iterator[Float[Tensor, "b c s s"]]:
    """The eight flips and rotations of square images `(B, C, S, S)`, the original first, in the same memory format."""
    kept = channels_last if images.is_contiguous(memory_format=channels_last) else contiguous_format
    for turned in (images, images.transpose(2, 3)):
        for rows in (turned, turned.flip(2)):
            for view in (rows, rows.flip(3)):
                yield view.contiguous(memory_format=kept)
