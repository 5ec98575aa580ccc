"""What normalizers share that bring every image to a reference learned from the source images."""

from abc import abstractmethod
from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cellda.errors import ConfigurationError, DataError
from cellda.imaging.padding import background, find_smear
from cellda.normalizers.base import Normalizer, check_images


class Referenced(Normalizer):
    """A normalizer whose reference is the mean, over the source images, of what is measured on each image.

    A subclass names its measures with their shapes (`__init__`), takes them of images (`measure`), and brings images to the
    reference (`transfer`). Black padding is found (`cellda.imaging.padding`), not measured, and filled with the image's
    own background. What is measured on an image counts as constant in gradients.

    Args:
        shapes: Name of each measure -> its shape for one image; each becomes a buffer that holds the reference.
    """

    fitted: Tensor

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.measures = tuple(shapes)
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape))
        self.register_buffer("fitted", torch.tensor(False))

    @property
    def needs_fit(self) -> bool:
        """True until `fit` has run or a fitted state dict was loaded."""
        return not bool(self.fitted)

    @abstractmethod
    def measure(
        self, images: Float[Tensor, "b 3 h w"], smear: Bool[Tensor, "b h w"]
    ) -> dict[str, Float[Tensor, "b ..."]]:
        """What is measured on each image, by name; also what `transfer` needs beside the measures of the reference.

        Args:
            images: `(B, 3, H, W)` RGB in [0, 1], float32 or float64, padding filled.
            smear: `(B, H, W)`, true where a pixel counts; true somewhere in every image.
        """

    @abstractmethod
    def transfer(
        self, images: Float[Tensor, "b 3 h w"], measured: dict[str, Tensor]
    ) -> Float[Tensor, "b 3 h w"]:
        """Bring images, of which these things were measured, to the reference; the result need not be clipped."""

    @torch.no_grad()
    def fit(self, batches: Iterable[Float[Tensor, "_ 3 _ _"]]) -> None:
        """Learn the reference: the mean over all source images.

        Raises:
            DataError: If there are no images, or they are not finite.
        """
        count = 0
        sums = {name: torch.zeros_like(getattr(self, name), dtype=torch.float64) for name in self.measures}
        for images in batches:
            check_images(images)
            if not images.isfinite().all():
                raise DataError(
                    f"{self.name}: the source images hold NaN or infinite values; the reference was not changed."
                )
            if len(images) == 0:
                continue
            measured = self.measure(*_filled(images, None))
            for name in self.measures:
                sums[name] += measured[name].double().sum(0).to(sums[name].device)
            count += len(images)
        if count == 0:
            raise DataError(f"{self.name}: there are no source images to fit the reference on.")
        for name, total in sums.items():
            getattr(self, name).copy_(total / count)
        self.fitted.fill_(True)

    def forward(
        self, images: Float[Tensor, "b 3 h w"], mask: Bool[Tensor, "b h w"] | None = None
    ) -> Float[Tensor, "b 3 h w"]:
        """Normalise a batch; computed in float32 at least, returned in the images' dtype and memory format.

        Args:
            images: `(B, 3, H, W)` RGB in [0, 1].
            mask: `(B, H, W)`, true where a pixel belongs to the smear; replaces the search for padding. An image with fewer
                than two pixels inside is taken whole.

        Raises:
            ConfigurationError: If the reference has not been fitted.
            DataError: If the images or the mask have a wrong shape or type, or values are not finite.
        """
        if self.needs_fit:
            raise ConfigurationError(
                f"{self.name}: the reference has not been fitted. Call fit(batches) with source images first, or load the "
                "state dict of a fitted normalizer."
            )
        check_images(images, mask)
        if len(images) == 0:
            return images.clone()
        if not images.isfinite().all():
            raise DataError(
                f"{self.name}: the images hold NaN or infinite values; give RGB images in [0, 1]."
            )
        with torch.autocast(images.device.type, enabled=False):
            filled, smear = _filled(images, mask)
            with torch.no_grad():
                measured = self.measure(filled.detach(), smear)
            result = self.transfer(filled, measured).clamp(0, 1).to(images.dtype)
        layout = images.is_contiguous(memory_format=torch.channels_last)
        return result.contiguous(memory_format=torch.channels_last if layout else torch.contiguous_format)


def _filled(images: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Images in float32 at least, what is no smear filled with their background; and where the smear is."""
    precise = images.to(torch.promote_types(images.dtype, torch.float32)).contiguous()
    smear = find_smear(precise) if mask is None else mask | (mask.sum((1, 2)) < 2)[:, None, None]
    if smear is None:
        return precise, torch.ones_like(precise[:, 0], dtype=torch.bool)
    empty = background(precise, smear)
    return torch.where(smear[:, None], precise, empty[:, :, None, None]), smear
