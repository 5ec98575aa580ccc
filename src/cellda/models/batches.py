"""Batches of raw images for a prediction, from a tensor or from files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from cellda.datasets.reading.decode import decode_framed, decode_resized
from cellda.errors import DataError
from cellda.framing.base import Framing, frame_all
from cellda.normalizers.base import check_images

DECODED_AT_ONCE = 256
"""Files decoded together: starting threads for every network batch would cost as much as decoding small images."""


def batches_of_images(images: Tensor, size: int, at_once: int, framing: Framing) -> Iterator[Tensor]:
    """Batches of raw, framed images; images that `predict` does not accept are refused."""
    if images.dtype != torch.uint8:
        check_images(images)
        low, high = (float(value) for value in images.aminmax()) if len(images) else (0.0, 1.0)
        if not (low >= 0 and high <= 1):
            raise DataError(
                f"Float images must lie in [0, 1]; got values from {low:.3g} to {high:.3g}. Give 8-bit values as uint8."
            )
    elif images.ndim != 4 or images.shape[1] != 3:
        check_images(images.float())
    for start in range(0, len(images), at_once):
        batch = images[start : start + at_once]
        if framing.cuts:
            pixels = batch if batch.dtype == torch.uint8 else (batch * 255).round().to(torch.uint8)
            batch, _ = frame_all(pixels, framing, size)
        yield batch


def batches_of_files(
    files: Sequence[str | Path], size: int, at_once: int, framing: Framing
) -> Iterator[Tensor]:
    """Batches of decoded files; files that cannot be decoded are listed at the end, in one error."""
    paths = [Path(file).expanduser() for file in files]
    bad: list[str] = []
    block = max(DECODED_AT_ONCE, at_once)
    for start in range(0, len(paths), block):
        places = [(path, None) for path in paths[start : start + block]]
        try:
            decoded = (
                decode_framed(places, size, framing)[0] if framing.cuts else decode_resized(places, size)
            )
        except DataError as error:
            bad.extend(error.problems)
        else:
            if not bad:
                yield from torch.split(decoded, at_once)
    if bad:
        raise DataError(f"{len(bad)} of {len(paths)} images cannot be used; fix or remove them.", bad)
