"""The base class of normalizers that match every image to a reference learned from the source images."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cellda.errors import ConfigurationError, DataError
from cellda.imaging.padding import background, find_smear
from cellda.imaging.recorded import recording
from cellda.normalizers.base import Normalizer, check_images

_CHUNK_VALUES = 2**20
"""Number of values processed at a time on a CPU, so that temporaries stay in its cache."""


class Referenced(Normalizer):
    """A normalizer whose reference is the mean of measures over the source images.

    A subclass names its measures with their shapes (`__init__`), computes them for images (`measure`), and matches images to
    the reference (`transfer`). Black padding (`cellda.imaging.padding`) is excluded from the measures and filled with the
    image's own background.

    Args:
        shapes: Name of each measure -> its shape for one image. A buffer of this name and shape holds the reference.
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
        """True until the reference is given, fitted, or loaded with a state dict."""
        return not bool(self.fitted)

    @abstractmethod
    def measure(
        self, images: Float[Tensor, "b 3 h w"], smear: Bool[Tensor, "b h w"]
    ) -> dict[str, Float[Tensor, "b ..."]]:
        """Measures of each image by name, and anything else that `transfer` needs.

        Decorate it with `torch.no_grad()` if gradients should treat the measures as constant.

        Args:
            images: `(B, 3, H, W)` RGB in [0, 1], float32 or float64, padding filled.
            smear: `(B, H, W)`, true where a pixel is measured; true somewhere in every image.
        """

    @abstractmethod
    def transfer(
        self, images: Float[Tensor, "b 3 h w"], measured: dict[str, Tensor]
    ) -> Float[Tensor, "b 3 h w"]:
        """Match images to the reference, given their measures; the result need not be clipped."""

    def find_smear(self, images: Float[Tensor, "b 3 h w"]) -> Bool[Tensor, "b h w"] | None:
        """The pixels to measure if the caller gives no mask; None for all."""
        return find_smear(images)

    def require_finite(self, values: Tensor) -> None:
        """Refuse NaN and infinite values, before anything is measured.

        Raises:
            DataError: If there are any.
        """
        if not values.detach().sum().isfinite():
            raise DataError(
                f"{self.name}: the images hold NaN or infinite values; give RGB images in [0, 1]."
            )

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
            for _, filled, smear in self._chunks(images, None):
                measured = self.measure(filled, smear)
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
        """Normalize a batch; compute in at least float32 and return the images' dtype and memory format.

        Recorded into a graph, it computes the same without the checks, which look at values.

        Args:
            images: `(B, 3, H, W)` RGB in [0, 1].
            mask: `(B, H, W)`, true where a pixel belongs to the smear; replaces the search for padding. Pixels outside it
                are not measured, and are filled with background. If it keeps fewer than two pixels of an image, all are used.

        Raises:
            ConfigurationError: If the reference has not been fitted.
            DataError: If values are not finite.
        """
        if recording():
            filled, smear = self._filled(images.to(_precision(images)).contiguous(), mask)
            return self.transfer(filled, self.measure(filled, smear)).clamp(0, 1).to(images.dtype)
        if self.needs_fit:
            raise ConfigurationError(
                f"{self.name}: the reference has not been fitted. Call fit(batches) with source images first, or load the "
                "state dict of a fitted normalizer."
            )
        result = torch.empty_like(images, dtype=_precision(images))
        # The mixed precision of the surrounding model would round the measures to 8 bits.
        with torch.autocast(images.device.type, enabled=False):
            for part, filled, smear in self._chunks(images, mask):
                self._normalize(filled, smear, result[part])
        return result.to(images.dtype)

    def _normalize(self, images: Tensor, smear: Tensor, out: Tensor) -> None:
        """Normalize a part into `out`; a separate function, so that no temporary outlives its part."""
        found = self.transfer(images, self.measure(images, smear))
        if found.requires_grad:
            out.copy_(found.clamp(0, 1))
        else:  # the same in one pass fewer
            torch.clamp(found, 0, 1, out=out)

    def _chunks(self, images: Tensor, mask: Tensor | None) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Parts of a batch: their slice, the images in at least float32 with padding filled, and the smear.

        Raises:
            DataError: If values are not finite.
        """
        size = len(images)
        if images.device.type == "cpu" and size:
            size = max(1, _CHUNK_VALUES // images[0].numel())
        for start in range(0, len(images), size or 1):
            part = slice(start, start + size)
            # Channels-first in memory, even if the images are channels-last.
            precise = images[part].to(_precision(images)).contiguous()
            self.require_finite(precise)
            yield part, *self._filled(precise, None if mask is None else mask[part])

    def _filled(self, images: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """The images with padding filled, and the smear."""
        smear = self.find_smear(images) if mask is None else _usable(mask)
        if smear is None:
            return images, torch.ones_like(images[:, 0], dtype=torch.bool)
        empty = background(images, smear)
        return torch.where(smear[:, None], images, empty[:, :, None, None]), smear


def _usable(mask: Bool[Tensor, "b h w"]) -> Bool[Tensor, "b h w"]:
    """The mask, or the whole image where the mask keeps fewer than two of its pixels."""
    return mask | (mask.sum((1, 2)) < 2)[:, None, None]


def _precision(images: Tensor) -> torch.dtype:
    return torch.promote_types(images.dtype, torch.float32)
