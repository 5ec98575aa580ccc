"""The base of normalizers that bring every image to a reference learned from the source images."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cellda.errors import ConfigurationError, DataError
from cellda.imaging.padding import background, find_smear
from cellda.normalizers.base import Normalizer, check_images

_CHUNK_VALUES = 2**20
"""Values worked on at a time on a CPU; the temporaries of so many stay in its cache."""


class Referenced(Normalizer):
    """A normalizer whose reference is the mean, over the source images, of what is measured on each image.

    A subclass names its measures with their shapes (`__init__`), takes them of images (`measure`), and brings images to the
    reference (`transfer`). Black padding is found (`cellda.imaging.padding`), left out of the measures, and filled with
    the image's own background.

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
        """True until the reference is known: given, fitted, or loaded with a state dict."""
        return not bool(self.fitted)

    @abstractmethod
    def measure(
        self, images: Float[Tensor, "b 3 h w"], smear: Bool[Tensor, "b h w"]
    ) -> dict[str, Float[Tensor, "b ..."]]:
        """Measures of each image by name, and whatever else `transfer` needs to know of it.

        Decorate it with `torch.no_grad()` if gradients shall treat what is measured as constant.

        Args:
            images: `(B, 3, H, W)` RGB in [0, 1], float32 or float64, padding filled.
            smear: `(B, H, W)`, true where a pixel counts; true somewhere in every image.
        """

    @abstractmethod
    def transfer(
        self, images: Float[Tensor, "b 3 h w"], measured: dict[str, Tensor]
    ) -> Float[Tensor, "b 3 h w"]:
        """Bring images to the reference, given their measures; the result need not be clipped."""

    def find_smear(self, images: Float[Tensor, "b 3 h w"]) -> Bool[Tensor, "b h w"] | None:
        """The pixels that count where the caller gives no mask; None if all do."""
        return find_smear(images)

    def require_finite(self, values: Tensor) -> None:
        """Refuse NaN and infinite values, before anything is measured.

        Raises:
            DataError: If there is one.
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
        """Normalize a batch; computed in float32 at least, returned in the images' dtype and memory format.

        Args:
            images: `(B, 3, H, W)` RGB in [0, 1].
            mask: `(B, H, W)`, true where a pixel belongs to the smear; replaces the search for padding. Pixels outside are
                not measured, and are filled with background. An image with fewer than two pixels inside is taken whole.

        Raises:
            ConfigurationError: If the reference has not been fitted.
            DataError: If values are not finite.
        """
        if self.needs_fit:
            raise ConfigurationError(
                f"{self.name}: the reference has not been fitted. Call fit(batches) with source images first, or load the "
                "state dict of a fitted normalizer."
            )
        result = torch.empty_like(images, dtype=_precision(images))
        # Mixed precision of the surrounding model would round what is measured to 8 bits.
        with torch.autocast(images.device.type, enabled=False):
            for part, filled, smear in self._chunks(images, mask):
                self._normalize(filled, smear, result[part])
        return result.to(images.dtype)

    def _normalize(self, images: Tensor, smear: Tensor, out: Tensor) -> None:
        """Normalize a part into its place; a function of its own, so that no temporary outlives its part."""
        found = self.transfer(images, self.measure(images, smear))
        if found.requires_grad:
            out.copy_(found.clamp(0, 1))
        else:  # the same with one pass less
            torch.clamp(found, 0, 1, out=out)

    def _chunks(self, images: Tensor, mask: Tensor | None) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Parts of a batch: where they lie, the images in float32 at least with their padding filled, and the smear.

        Raises:
            DataError: If values are not finite.
        """
        size = len(images)
        if images.device.type == "cpu" and size:
            size = max(1, _CHUNK_VALUES // images[0].numel())
        for start in range(0, len(images), size or 1):
            part = slice(start, start + size)
            # Colour by colour in memory, also where images come channels-last.
            precise = images[part].to(_precision(images)).contiguous()
            self.require_finite(precise)
            smear = self.find_smear(precise) if mask is None else _usable(mask[part])
            if smear is None:
                yield part, precise, torch.ones_like(precise[:, 0], dtype=torch.bool)
            else:
                empty = background(precise, smear)
                yield part, torch.where(smear[:, None], precise, empty[:, :, None, None]), smear


def _usable(mask: Bool[Tensor, "b h w"]) -> Bool[Tensor, "b h w"]:
    """The mask, but all of an image in which it leaves fewer than two pixels."""
    return mask | (mask.sum((1, 2)) < 2)[:, None, None]


def _precision(images: Tensor) -> torch.dtype:
    return torch.promote_types(images.dtype, torch.float32)
