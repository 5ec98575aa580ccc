"""Batches of raw images for a prediction, from one tensor."""

from collections.abc import Iterator

import torch
from torch import Tensor

from cellda.errors import DataError
from cellda.framing.base import Framing, frame_all
from cellda.normalizers.base import check_images


def batches_of_images(images: Tensor, size: int, at_once: int, framing: Framing) -> Iterator[Tensor]:
    """Batches of raw, framed images; images that `predict` does not accept are refused."""
    if images.ndim != 4 or images.shape[1] != 3:
        one = ": for one image, give image[None]" if images.ndim == 3 and len(images) == 3 else ""
        raise DataError(f"A tensor of RGB images has the shape (N, 3, H, W); got {tuple(images.shape)}{one}.")
    if images.dtype != torch.uint8:
        check_images(images)
        low, high = (float(value) for value in images.aminmax()) if len(images) else (0.0, 1.0)
        if not (low >= 0 and high <= 1):
            raise DataError(
                f"Float images must lie in [0, 1]; got values from {low:.3g} to {high:.3g}. Give 8-bit values as uint8."
            )
    for start in range(0, len(images), at_once):
        batch = images[start : start + at_once]
        if framing.cuts:
            pixels = batch if batch.dtype == torch.uint8 else (batch * 255).round().to(torch.uint8)
            batch, _ = frame_all(pixels, framing, size)
        yield batch
