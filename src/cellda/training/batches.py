"""The order in which examples are seen: batch samplers for torch's DataLoader."""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor
from torch.utils.data import Sampler

from cellda.text import counted

REPEATS = 20
"""A source that is repeated more often than this in an epoch triggers a warning."""


@runtime_checkable
class Order(Protocol):
    """Which examples an epoch sees, and in which order."""

    def __len__(self) -> int:
        """Number of examples that an epoch sees, repeats included."""

    def positions(self, generator: Generator) -> Tensor:
        """Positions of the examples of one epoch, in their order `(len(self),)`."""


@dataclass(frozen=True)
class Mix:
    """Sets of examples that are mixed in equal parts in every batch (paper, "Training strategy").

    An epoch sees every example of the largest set once, unless `per_epoch` says otherwise; smaller sets are repeated, each
    time in a new order. With one set this is plain shuffling.

    Attributes:
        lengths: Number of examples of each set, in the order of their positions.
        names: Names of the sets, for warnings.
        per_epoch: Number of examples per set and epoch; by default the size of the largest set.

    Warns:
        UserWarning: If a set is repeated more than 20 times per epoch.
    """

    lengths: tuple[int, ...]
    names: tuple[str, ...] = ()
    per_epoch: int | None = None

    def __post_init__(self) -> None:
        for index, length in enumerate(self.lengths):
            if self._each > REPEATS * length:
                name = self.names[index] if self.names else f"set {index}"
                warnings.warn(
                    f"'{name}' has only {counted(length, 'image(s)')} and is repeated {self._each / length:.0f} times per "
                    f"epoch to match the {self._each} of the largest source; leave it out, or expect it to be memorised.",
                    UserWarning,
                    stacklevel=3,
                )

    @property
    def _each(self) -> int:
        return self.per_epoch or max(self.lengths)

    def __len__(self) -> int:
        return len(self.lengths) * self._each

    def positions(self, generator: Generator) -> Tensor:
        """One example of each set in turn, so that every batch holds equal parts."""
        offset, columns = 0, []
        for length in self.lengths:
            columns.append(_rounds(length, self._each, generator) + offset)
            offset += length
        return torch.stack(columns, dim=1).flatten()


@dataclass(frozen=True)
class Pool:
    """Groups of examples that are pooled, each by the square root of its size; a group is a class of a source.

    Against equal parts, a small source is repeated less often and its few classes are not all that a batch shows; against
    plain shuffling, a large source does not decide alone. The square root is the usual compromise (D. Mahajan et al.,
    ECCV 2018, section 2.2). An epoch sees as many examples as there are, and none of a group again before all of it.

    Attributes:
        groups: The group of each example, 0 or more, in the order of their positions.
    """

    groups: Sequence[int]

    def __len__(self) -> int:
        return len(self.groups)

    def positions(self, generator: Generator) -> Tensor:
        """Examples of all groups, shuffled."""
        group = torch.as_tensor(self.groups)
        members = [(group == number).nonzero()[:, 0] for number in sorted(set(self.groups))]
        shares = [math.sqrt(len(own)) for own in members]
        ends = [round(len(self) * sum(shares[: place + 1]) / sum(shares)) for place in range(len(shares))]
        chosen = [
            own[_rounds(len(own), end - start, generator)]
            for own, start, end in zip(members, [0, *ends[:-1]], ends, strict=True)
        ]
        return torch.cat(chosen)[torch.randperm(len(self), generator=generator)]


def order_of(pooling: Literal["equal", "root"], labels: Sequence[Tensor], names: tuple[str, ...]) -> Order:
    """The order in which the images of sources are seen.

    Args:
        pooling: How they are mixed (`SourceTraining.pooling`).
        labels: Class indices of the images of each source, `(n,)`.
        names: Names of the sources, for warnings.
    """
    match pooling:
        case "equal":
            return Mix(tuple(map(len, labels)), names)
        case "root":
            classes = 1 + max(int(own.max()) for own in labels)
            return Pool([number * classes + int(label) for number, own in enumerate(labels) for label in own])


def _rounds(length: int, count: int, generator: Generator) -> Tensor:
    """`count` positions below `length`: every one before any comes again, each round in a new order."""
    rounds = [torch.randperm(length, generator=generator) for _ in range(-(-count // length))]
    return torch.cat([torch.empty(0, dtype=torch.long), *rounds])[:count]


class Batches(Sampler[list[int]]):
    """Batches of the examples of an order, which is another one in every epoch.

    The examples are spread evenly over as many batches as full batches would need: a last batch of two or three left-over
    examples would distort the running statistics of every BatchNorm in training mode. No batch holds a single example,
    because BatchNorm cannot train on one, unless there is only one example.

    Args:
        order: Which examples an epoch sees, in which order.
        batch_size: Maximum number of examples in a batch; one more where an example would otherwise be alone.
        seed: Seed of the order; the order differs between epochs.
    """

    def __init__(self, order: Order, batch_size: int, seed: int) -> None:
        self.order = order
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        total = len(self.order)
        return max(1, min(-(-total // self.batch_size), total // 2))

    def __iter__(self) -> Iterator[list[int]]:
        generator = Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        for batch in torch.tensor_split(self.order.positions(generator), len(self)):
            yield batch.tolist()
