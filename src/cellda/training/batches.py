"""The order in which examples are seen: batch samplers for torch's DataLoader."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator
from torch.utils.data import Sampler

from cellda.text import counted

REPEATS = 20
"""A source that is repeated more often than this in an epoch triggers a warning."""


@dataclass(frozen=True)
class Mix:
    """Sets of examples that are mixed in equal parts in every batch.

    Attributes:
        lengths: Number of examples of each set, in the order of their positions.
        names: Names of the sets, for warnings.
        per_epoch: Number of examples per set and epoch; by default the size of the largest set.
    """

    lengths: tuple[int, ...]
    names: tuple[str, ...] = ()
    per_epoch: int | None = None


class Batches(Sampler[list[int]]):
    """Shuffled batches that mix several sets of examples in equal parts (paper, "Training strategy").

    An epoch sees every example of the largest set once, unless `per_epoch` says otherwise; smaller sets are repeated, each
    time in a new order. With one set this is plain shuffling. The examples are spread evenly over as many batches as full
    batches would need: a last batch of two or three left-over examples would distort the running statistics of every
    BatchNorm in training mode. No batch holds a single example, because BatchNorm cannot train on one, unless there is only
    one example.

    Args:
        mix: The sets.
        batch_size: Maximum number of examples in a batch; one more where an example would otherwise be alone.
        seed: Seed of the order; the order differs between epochs.

    Warns:
        UserWarning: If a set is repeated more than 20 times per epoch.
    """

    def __init__(self, mix: Mix, batch_size: int, seed: int) -> None:
        self.lengths = mix.lengths
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        self.per_epoch = longest = mix.per_epoch or max(self.lengths)
        for index, length in enumerate(self.lengths):
            if longest > REPEATS * length:
                name = mix.names[index] if mix.names else f"set {index}"
                warnings.warn(
                    f"'{name}' has only {counted(length, 'image(s)')} and is repeated {longest / length:.0f} times per "
                    "epoch to "
                    f"match the {longest} of the largest source; leave it out, or expect it to be memorised.",
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
