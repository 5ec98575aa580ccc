"""One process's copy of an encoder, which computes its part of every batch; and what the main process tells the copies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellda.models.folding import Folded, Pair
from cellda.runtime.group import Group
from cellda.training.whole_batch import Scope, take_whole_batches


@dataclass(frozen=True)
class Begin:
    """A training begins.

    Attributes:
        encoder: The encoder, with its weights.
        pairs: The layers that are folded; None if the encoder is not.
        device: `"cpu"` or `"cuda"`.
    """

    encoder: nn.Module
    pairs: tuple[Pair, ...] | None
    device: str


@dataclass(frozen=True)
class Renew:
    """The weights have changed; they follow."""


@dataclass(frozen=True)
class Forward:
    """A batch is encoded; its inputs follow.

    Attributes:
        number: Names it.
        shape, dtype: Of the inputs.
        training: Whether each layer is in training mode.
        gradient: Whether gradients may be asked for later.
        bf16: Whether it is computed in bfloat16.
    """

    number: int
    shape: torch.Size
    dtype: torch.dtype
    training: tuple[bool, ...]
    gradient: bool
    bf16: bool


@dataclass(frozen=True)
class Backward:
    """The gradients of the weights are computed for the batch of this number; those of its features follow."""

    number: int


@dataclass(frozen=True)
class Finish:
    """The training has ended."""


class Replica:
    """An encoder and this process's part of the work on it.

    Args:
        encoder: It is changed: its BatchNorms take their statistics over all processes.
        group: All processes.

    Attributes:
        weights: The parameters that train.
        compute: The encoder's own forward pass.
    """

    def __init__(self, encoder: nn.Module, group: Group) -> None:
        self.encoder, self.group = encoder, group
        self.scope = Scope(group)
        if not isinstance(encoder, Folded):  # whose statistics are frozen
            take_whole_batches(encoder, self.scope)
        self.compute: Callable[[Tensor], Tensor] = encoder.forward
        self.weights = [weight for weight in encoder.parameters() if weight.requires_grad]
        buffers = [buffer for buffer in encoder.buffers() if buffer.is_floating_point()]
        self._state = [*self.weights, *buffers]

    @torch.no_grad()
    def renew(self) -> None:
        """Take over the main process's weights and statistics."""
        if not self._state:
            return
        values = self.group.broadcast(torch.cat([own.flatten() for own in self._state]))
        if not self.group.main:
            for own, new in zip(self._state, _like(self._state, values), strict=True):
                own.copy_(new)

    def features(self, inputs: Float[Tensor, "b ..."], *, gradient: bool) -> tuple[Tensor, Tensor]:
        """Features of a whole batch, without gradients, and those of this process's part, with gradients if asked for.

        Args:
            inputs: The whole batch, the same in all processes, at least as large as their number.
            gradient: Whether gradients are asked for later.
        """
        self.scope.shared = True
        try:
            with torch.set_grad_enabled(gradient):
                own = self.compute(self._part(inputs))
        finally:
            self.scope.shared = False
        whole = own.new_zeros(len(inputs), *own.shape[1:], requires_grad=False)
        self._part(whole).copy_(own.detach())
        return self.group.total(whole), own  # all parts but one's own are zero: the sum is exact

    def gradients(self, own: Tensor, outward: Tensor) -> list[Tensor]:
        """Gradients of the weights, for a whole batch.

        Args:
            own: The features of this process's part, as `features` returned them.
            outward: The gradients of the features of the whole batch.
        """
        found = torch.autograd.grad(own, self.weights, self._part(outward).to(own), allow_unused=True)
        flat = [
            torch.zeros_like(weight).flatten() if one is None else one.flatten()
            for one, weight in zip(found, self.weights, strict=True)
        ]
        return _like(self.weights, self.group.total(torch.cat(flat)))

    def _part(self, values: Tensor) -> Tensor:
        """The rows of this process: parts differ by at most one row."""
        place = self.group.place
        return torch.tensor_split(values, place.size)[place.rank]


def _like(tensors: Sequence[Tensor], values: Tensor) -> list[Tensor]:
    """Values in one row, in the shapes of tensors."""
    parts = torch.split(values, [one.numel() for one in tensors])
    return [part.view_as(one) for part, one in zip(parts, tensors, strict=True)]
