"""The base class of stain normalizers."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from cellda.errors import DataError


class Normalizer(nn.Module, ABC):
    """Bring RGB images in [0, 1], of any float dtype and on any device, to one colour style.

    Call it with one image or a batch. A member implements `forward` for a batch.

    Options are the typed keyword arguments of `__init__`. Buffers hold what a member learns from source images. They exist
    before `fit`, so that a state dict loads into a new object.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        # Explicit, so that a member without options does not accept those of nn.Module.
        super().__init__()

    @property
    def needs_fit(self) -> bool:
        """Whether `fit` must see source images before `forward` can be used."""
        return False

    def fit(self, batches: Iterable[Float[Tensor, "_ 3 _ _"]]) -> None:
        """Learn the reference from source images, given in batches because they may not fit in memory.

        A member that learns nothing does not read `batches`.

        Args:
            batches: Tensors `(B, 3, H, W)` in [0, 1]; sizes may differ from batch to batch.
        """

    def __call__(
        self, images: Float[Tensor, "*b 3 h w"], mask: Bool[Tensor, "*b h w"] | None = None
    ) -> Float[Tensor, "*b 3 h w"]:
        """Normalize one image or a batch.

        Args:
            images: `(3, H, W)` or `(B, 3, H, W)` RGB in [0, 1].
            mask: `(H, W)` or `(B, H, W)`, true where a pixel belongs to the smear; it replaces the mask that the
                normalizer would find itself.

        Returns:
            The normalized image or images, clipped to [0, 1]; same shape, dtype and device.

        Raises:
            DataError: If the shape or type of the images or of the mask is wrong.
        """
        single = images.ndim == 3 and len(images) == 3
        if single:
            images, mask = images[None], None if mask is None else mask[None]
        check_images(images, mask)
        # Every call passes here, whichever class implements `forward`.
        normalized: Tensor = super().__call__(images) if mask is None else super().__call__(images, mask)
        return normalized[0] if single else normalized

    @abstractmethod
    def forward(
        self, images: Float[Tensor, "b 3 h w"], mask: Bool[Tensor, "b h w"] | None = None
    ) -> Float[Tensor, "b 3 h w"]:
        """Normalize a batch whose shape and type have been checked; users call the normalizer itself.

        Args:
            images: `(B, 3, H, W)` RGB in [0, 1].
            mask: `(B, H, W)`, true where a pixel belongs to the smear; replaces the normalizer's own mask.

        Returns:
            `(B, 3, H, W)`, clipped to [0, 1], same dtype and device.
        """


def check_images(images: Tensor, mask: Tensor | None = None) -> None:
    """Refuse anything but a batch of images, and a mask that does not match it.

    Raises:
        DataError: If `images` is not a floating-point `(B, 3, H, W)`, or `mask` not a boolean `(B, H, W)` of the
            same size.
    """
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape[2:]:
        remedy = ""
        if images.ndim == 3:
            one = images.shape[0] == 3
            remedy = (
                " One image becomes a batch with image[None]." if one else " An RGB image has 3 channels."
            )
        raise DataError(
            f"Images must be a batch of RGB images, (B, 3, H, W); got {tuple(images.shape)}.{remedy}"
        )
    if not images.is_floating_point():
        raise DataError(
            f"Images must be floating point in [0, 1]; got {images.dtype}. Divide uint8 images by 255 first."
        )
    expected = (images.shape[0], *images.shape[2:])
    if mask is not None and (tuple(mask.shape) != expected or mask.dtype != torch.bool):
        raise DataError(
            f"The mask must be boolean of shape {expected}; got {mask.dtype} of {tuple(mask.shape)}."
        )
