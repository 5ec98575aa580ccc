"""Fourier domain adaptation.

Yang, Soatto: FDA: Fourier domain adaptation for semantic segmentation. CVPR 2020, equation 1.
"""

from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from cellda.normalizers import register
from cellda.normalizers.families.referenced import Referenced

_MOST_GAIN = 1000.0
"""Largest gain of an amplitude. Only rounding errors, as in a constant image, need more."""


@register("fda")
class Fda(Referenced):
    """Replace low-frequency amplitudes by the source's and keep the phases (Yang & Soatto 2020).

    `y = F^-1(A_reference, P_image)` for frequencies of at most `cycles` in either direction; other frequencies keep the
    image's own amplitudes. The reference is the mean amplitude of the source images, made symmetric because smears have no
    preferred direction. The paper uses the amplitudes of one random source image; with the mean, the result depends on the
    image alone.

    Args:
        cycles: Highest frequency that is replaced, in cycles per image; 0 replaces only the mean colour. The paper's
            share of 0.01 is 1 at 100 to 199 px and 2 at 224 px.
    """

    amplitude: Tensor

    def __init__(self, cycles: Annotated[int, Field(ge=0, le=16)] = 1) -> None:
        super().__init__(amplitude=(3, cycles + 1, cycles + 1))
        self.cycles = cycles

    @torch.no_grad()
    def measure(
        self,
        images: Float[Tensor, "b 3 h w"],
        smear: Bool[Tensor, "b h w"],  # noqa: ARG002 - padding is filled
    ) -> dict[str, Float[Tensor, "b 3 k k"]]:
        """Amplitudes per pixel at low frequencies, averaged over directions; 0 where an image is too small for a frequency."""
        rows, columns = self._low(images)
        found = torch.fft.fft2(images).abs() / (images.shape[2] * images.shape[3])
        sums = images.new_zeros(*images.shape[:2], self.cycles + 1, self.cycles + 1)
        counts = torch.zeros_like(sums[0, 0])
        for row, vertical in enumerate(rows):
            for column, horizontal in enumerate(columns):
                if vertical <= self.cycles and horizontal <= self.cycles:
                    sums[..., vertical, horizontal] += found[..., row, column]
                    counts[vertical, horizontal] += 1
        mean = sums / counts.clamp(min=1)
        return {"amplitude": (mean + mean.transpose(2, 3)) / 2}

    def transfer(
        self,
        images: Float[Tensor, "b 3 h w"],
        measured: dict[str, Tensor],  # noqa: ARG002
    ) -> Float[Tensor, "b 3 h w"]:
        """Replace the amplitudes at low frequencies."""
        rows, columns = (torch.tensor(cycles, device=images.device) for cycles in self._low(images))
        spectrum = torch.fft.fft2(images)
        reference = self.amplitude.to(images) * (images.shape[2] * images.shape[3])
        exchanged = (rows <= self.cycles)[:, None] & (columns <= self.cycles)[None]
        wanted = reference[:, rows.clamp(max=self.cycles)][:, :, columns.clamp(max=self.cycles)]
        gain = wanted / torch.maximum(spectrum.abs(), wanted / _MOST_GAIN + 1e-12)
        exchanged_spectrum = spectrum * torch.where(exchanged, gain, torch.ones_like(gain))
        return torch.fft.ifft2(exchanged_spectrum).real  # type: ignore[no-any-return]

    @staticmethod
    def _low(images: Float[Tensor, "b 3 h w"]) -> tuple[list[int], list[int]]:
        """Cycles per image of every row and column of the spectrum, without sign."""
        rows, columns = (
            [min(place, length - place) for place in range(length)] for length in images.shape[2:]
        )
        return rows, columns
