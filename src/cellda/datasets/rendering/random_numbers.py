"""Random numbers that belong to an image, not to a batch."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor


class Draws:
    """Uniform numbers of several images, one row per image, consumed from left to right.

    Every row comes from the image's own generator, so it does not depend on which images are rendered together.

    Args:
        pool: `(B, P)` uniform in [0, 1).
    """

    def __init__(self, pool: Tensor) -> None:
        self._pool = pool
        self._used = 0

    @classmethod
    def seeded(cls, seeds: Sequence[int], count: int) -> "Draws":
        """A pool of `count` numbers for each image seed."""
        rows = [torch.rand(count, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return cls(torch.stack(rows))

    def __len__(self) -> int:
        return len(self._pool)

    def split(self, *counts: int) -> list["Draws"]:
        """Independent pools of the given sizes: the use of one does not change the numbers of another."""
        return [
            Draws(part)
            for part in torch.tensor_split(self._take(sum(counts)), list(accumulate(counts))[:-1], dim=1)
        ]

    def rows(self, index: Tensor) -> "Draws":
        """The pool of the images `index`, starting at its left end."""
        return Draws(self._pool[index])

    def uniform(self, low: float = 0.0, high: float = 1.0, shape: tuple[int, ...] = ()) -> Tensor:
        """`(B, *shape)` uniform in [low, high)."""
        count = 1
        for side in shape:
            count *= side
        return self._take(count).reshape(len(self), *shape) * (high - low) + low

    def normal(self, std: float = 1.0, shape: tuple[int, ...] = ()) -> Tensor:
        """`(B, *shape)` normal with mean 0, cut at about 3.3 standard deviations."""
        standard: Tensor = torch.special.ndtri(self.uniform(0.0005, 0.9995, shape))
        return standard * std

    def _take(self, count: int) -> Tensor:
        if self._used + count > self._pool.shape[1]:
            raise IndexError(
                f"{self._used + count} random numbers requested from a pool of {self._pool.shape[1]}: enlarge it."
            )
        self._used += count
        return self._pool[:, self._used - count : self._used]
