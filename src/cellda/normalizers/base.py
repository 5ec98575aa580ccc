"""What a stain normalizer is."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor, nn


class Normalizer(nn.Module, ABC):
    """Brings `(B, 3, H, W)` RGB images in [0, 1], any float dtype and device, to one colour style.

    Options are the typed keyword arguments of `__init__`. What is learned from source images lives in buffers that exist
    before `fit`, so a state dict loads into a fresh object.
    """

    name: ClassVar[str]

    @property
    def needs_fit(self) -> bool:
        """Whether `fit` must see source images before `forward` is meaningful."""
        return False

    def fit(self, images: Float[Tensor, "b 3 h w"]) -> None:  # noqa: B027 - most members learn nothing
        """Learn the reference from source images `(B, 3, H, W)` in [0, 1]."""

    @abstractmethod
    def forward(
        self, images: Float[Tensor, "b 3 h w"], mask: Bool[Tensor, "b h w"] | None = None
    ) -> Float[Tensor, "b 3 h w"]:
        """Normalise a batch.

        Args:
            images: `(B, 3, H, W)` RGB in [0, 1].
            mask: `(B, H, W)`, true where a pixel belongs to the smear; given, it replaces the mask the normalizer
                would find itself.

        Returns:
            `(B, 3, H, W)`, clipped to [0, 1], same dtype and device.
        """
