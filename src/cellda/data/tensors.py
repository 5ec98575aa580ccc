"""Images and labels that a user gives as tensors, checked before any work."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int, Shaped, UInt8
from torch import Tensor

from cellda.errors import DataError
from cellda.text import counted


def check_images(images: Any, what: str, size: int | None = None) -> None:
    """Refuse what is not a batch of square RGB images.

    Args:
        images: What was given.
        what: Its name in messages.
        size: The side that it must have in pixels; None takes any.

    Raises:
        DataError: If it is no tensor `(N, 3, S, S)` of uint8, or of finite floats in [0, 1]; or `S` is not `size`.
    """
    if not isinstance(images, Tensor):
        raise DataError(f"{what} must be a tensor (N, 3, S, S); got a {type(images).__name__}.")
    shape = tuple(images.shape)
    if images.ndim != 4 or shape[1] != 3 or 0 in shape:
        channels_last = " Move the channels: images.permute(0, 3, 1, 2)." if shape[-1:] == (3,) else ""
        raise DataError(f"{what} must be RGB images, (N, 3, S, S), at least one; got {shape}.{channels_last}")
    if shape[2] != shape[3]:
        raise DataError(f"{what} must be square; got {shape[2]} x {shape[3]} pixels: crop or resize them.")
    if size is not None and shape[2] != size:
        raise DataError(
            f"{what} must have {size} x {size} pixels, as the labelled images; got {shape[2]} x {shape[3]}."
        )
    if images.dtype == torch.uint8:
        return
    if not images.is_floating_point():
        raise DataError(f"{what} must be uint8, or float in [0, 1]; got {images.dtype}.")
    wrong = ~((images >= 0) & (images <= 1)).flatten(1).all(1)  # NaN is not in the range either
    if wrong.any():
        first = int(wrong.nonzero()[0])
        found = images[first]
        low, high = float(found.min()), float(found.max())
        raise DataError(
            f"{what}: floats must be finite and in [0, 1]; image {first} has values from {low:.3g} to {high:.3g}. Give images "
            "before they are shifted and scaled by a mean and a standard deviation; divide values of 8 bits by 255."
        )


def as_bytes(images: Any, what: str, size: int | None = None) -> UInt8[Tensor, "n 3 s s"]:
    """Images `(N, 3, S, S)` on the CPU as uint8; floats are rounded to 8 bits.

    Raises:
        DataError: As `check_images`.
    """
    check_images(images, what, size)
    found: Shaped[Tensor, "n 3 s s"] = images.detach().cpu()
    return found if found.dtype == torch.uint8 else (found.double() * 255).round().to(torch.uint8)


def class_indices(labels: Any, count: int, what: str) -> Int[Tensor, " n"]:
    """Class indices `(N,)` as int64 on the CPU.

    Args:
        labels: A tensor, an array or a sequence of whole numbers from 0 on.
        count: How many there must be.
        what: Their name in messages.

    Raises:
        DataError: If they are something else.
    """
    try:
        found = torch.as_tensor(list(labels) if isinstance(labels, Sequence) else labels).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{what} must be whole numbers, the index of a class each: {error}.") from error
    if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise DataError(f"{what} must be whole numbers, the index of a class each; got {found.dtype}.")
    if found.shape != (count,):
        raise DataError(
            f"{what} must hold one class index for each of {counted(count, 'image(s)')}; got the shape {tuple(found.shape)}."
        )
    if int(found.min()) < 0:
        raise DataError(
            f"{what} must be class indices from 0 on; number {int(found.argmin())} is {int(found.min())}."
        )
    return found.to(torch.int64)
