"""In which order examples are seen: batch samplers for torch's DataLoader."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator
from torch.utils.data import Sampler

REPEATS = 20
"""A source repeated more often than this in an epoch is warned about."""


@dataclass(frozen=True)
class Mix:
    """Sets of examples that batches hold in equal parts.

    Attributes:
        lengths: Number of examples of each set, in the order of their positions.
        names: Names of the sets, for warnings.
        per_epoch: Examples of every set that an epoch takes; by default as many as the largest set has.
    """

    lengths: tuple[int, ...]
    names: tuple[str, ...] = ()
    per_epoch: int | None = None


class Batches(Sampler[list[int]]):
    """Shuffled batches that mix several sets of examples in equal parts (paper, "Training strategy").

    An epoch sees every example of the largest set once, unless `per_epoch` says otherwise; smaller sets are repeated, each
    time in a new order. With one set this is plain shuffling. Batches are nearly equal, and as many as full ones would be: a
    last batch of the two or three that are left over would spoil the running statistics of every BatchNorm that trains. None
    holds a single example, on which BatchNorm cannot train, unless there is but one.

    Args:
        lengths: Number of examples of each set, in the order of their positions.
        batch_size: Examples a batch, at most; one more where a single one would be alone.
        seed: Seed of the order; every epoch has its own.
        names: Names of the sets for the warning.
        per_epoch: Examples of every set that an epoch takes; by default as many as the largest set has.

    Warns:
        UserWarning: If a set is repeated more than 20 times an epoch.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        names: Sequence[str] = (),
        per_epoch: int | None = None,
    ) -> None:
        self.lengths = list(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        self.per_epoch = longest = per_epoch or max(self.lengths)
        for index, length in enumerate(self.lengths):
            if longest > REPEATS * length:
                name = names[index] if names else f"set {index}"
                warnings.warn(
                    f"'{name}' has only {length} images and is repeated {longest / length:.0f} times an epoch beside "
                    f"{longest} of the largest source; leave it out, or expect it to be learnt by heart.",
                    UserWarning,
                    stacklevel=2,
                )

    def __len__(self) -> int:
        total = len(self.lengths) * self.per_epoch
        return max(1, min(-(-total // self.batch_size), total // 2))

    def __iter__(self) -> Iterator[list[int]]:
        generator = Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        longest, offset, columns = self.per_epoch, 0, []
        for length in self.lengths:
            rounds = [torch.randperm(length, generator=generator) for _ in range(-(-longest // length))]
            columns.append(torch.cat(rounds)[:longest] + offset)
            offset += length
        # One example of each set in turn, so that every batch holds equal parts.
        order = torch.stack(columns, dim=1).flatten()
        for batch in torch.tensor_split(order, len(self)):
            yield batch.tolist()
