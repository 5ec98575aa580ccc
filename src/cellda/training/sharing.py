"""The main process's side of a training that several processes share: each encodes its part of every batch.

The encoder takes nearly all of the time. What comes before and after it (augmentation, head, loss, optimizer) needs whole
batches, and only the main process does it, so that no objective, order of examples or random number knows of the others. The
features of a batch are put together, and the gradients of the weights added up: both are those of one process, up to the
rounding of sums. The synchronous data parallelism of Goyal et al. (2017), before the loss instead of behind it.
"""

import io
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from cellda.models.classifier import CellClassifier
from cellda.models.folding import Folded, hooked, sharing_copy
from cellda.runtime import progress
from cellda.runtime.group import Group
from cellda.runtime.work import Work
from cellda.training.replica import Backward, Begin, Finish, Forward, Renew, Replica
from cellda.training.whole_batch import KNOWN

TOLERANCE = 1e-3
"""Largest difference, relative to the largest feature, between an image encoded alone and in a batch."""

HOOKED = "hooks read or change the layers of its encoder (adapter delta, training.mixstyle)"


@contextmanager
def shared(
    module: nn.Module, quick: nn.Module, optimizer: torch.optim.Optimizer, group: Group | None, work: Work
) -> Iterator[nn.Module]:
    """Context in which the encoder of a classifier is computed by all processes; yields what to train in place of `quick`.

    The training of a head alone takes no time, and is not shared. Where an encoder cannot be divided by images, the main
    process trains alone, and says why.

    Args:
        module: What is trained.
        quick: `module`, or a faster copy that shares its weights.
        optimizer: Changes the weights.
        group: All processes; None if there is only one.
        work: The name of the training.
    """
    if group is None or not isinstance(module, CellClassifier) or not isinstance(quick, CellClassifier):
        yield quick
        return
    reason = why_alone(module)
    if reason is not None:
        _say(work, group, reason)
        yield quick
        return
    trained = sharing_copy(quick) if quick is module else quick
    pairs = trained.encoder.pairs if isinstance(trained.encoder, Folded) else None
    group.tell(Begin(deepcopy(module.encoder).cpu(), pairs, trained.mean.device.type))
    encoder = _SharedEncoder(Replica(trained.encoder, group), work)
    trained.encoder.forward = encoder.features
    changed = optimizer.register_step_post_hook(encoder.changed)
    try:
        yield trained
    finally:
        changed.remove()
        if group.in_step:
            group.tell(Finish())


def why_alone(model: CellClassifier) -> str | None:
    """Why the encoder of a classifier cannot encode parts of a batch in several processes, in words; None if it can."""
    encoder = model.encoder
    if hooked(encoder):
        return HOOKED
    strange = {
        type(part).__name__
        for part in encoder.modules()
        if isinstance(part, _BatchNorm) and type(part) not in KNOWN
    }
    if strange:
        return f"its encoder has layers that may need whole batches ({', '.join(sorted(strange))})"
    try:
        pickle.dump(encoder, io.BytesIO())
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        return f"its encoder cannot be sent to the others ({error})"
    return (
        None
        if _by_image(model)
        else "its encoder draws random numbers, or does not encode each image by itself"
    )


@torch.no_grad()
def _by_image(model: CellClassifier) -> bool:
    """Whether an encoder in training mode, but for its BatchNorms, gives an image the same features in every batch."""
    encoder, side = deepcopy(model.encoder).train(), model.backbone.image_size
    for part in encoder.modules():
        if isinstance(part, _BatchNorm):
            part.eval()
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)).to(model.mean.device)
    before = _random_state(images.device)
    together = encoder(images)
    if not isinstance(together, Tensor) or not torch.equal(before, _random_state(images.device)):
        return False
    alone = torch.cat([encoder(images[:1]), encoder(images[1:])])
    return bool((together - alone).abs().max() <= TOLERANCE * together.abs().max())


def _random_state(device: torch.device) -> Tensor:
    state = torch.get_rng_state()
    return torch.cat([state, torch.cuda.get_rng_state(device)]) if device.type == "cuda" else state


def _say(work: Work, group: Group, reason: str) -> None:
    progress.note(f"{work}: one of the {group.place.size} processes trains, because {reason}.")


class _SharedEncoder:
    """The encoder as the main process sees it: it takes and returns whole batches."""

    def __init__(self, replica: Replica, work: Work) -> None:
        self.replica, self.group, self.work = replica, replica.group, work
        self._stale, self._said = True, False
        self._number = 0

    def changed(self, *_: Any) -> None:
        """Note that the weights have changed."""
        self._stale = True

    def features(self, inputs: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        """Features of a batch, with gradients to the weights; a batch of fewer images than processes is not divided."""
        if hooked(self.replica.encoder):  # since the training began: by an objective
            if not self._said:
                self._said = True
                _say(self.work, self.group, HOOKED)
            return self.replica.compute(inputs)
        if len(inputs) < self.group.place.size or inputs.requires_grad:
            return self.replica.compute(inputs)
        if torch.is_grad_enabled() and self.replica.weights:
            return _Features.apply(self, inputs, *self.replica.weights)  # type: ignore[no-any-return]
        return self.forward(inputs, gradient=False)[0]

    def forward(self, inputs: Tensor, *, gradient: bool) -> tuple[Tensor, Tensor, int]:
        """Features of the whole batch and of the main process's part, and the number of the batch."""
        self._number += 1
        modes = tuple(part.training for part in self.replica.encoder.modules())
        bf16 = torch.is_autocast_enabled(inputs.device.type)
        with self.group.step():
            if self._stale:
                self.group.tell(Renew())
                self.replica.renew()
                self._stale = False
            self.group.tell(Forward(self._number, inputs.shape, inputs.dtype, modes, gradient, bf16))
            self.group.broadcast(inputs.contiguous())
            return *self.replica.features(inputs, gradient=gradient), self._number

    def backward(self, number: int, own: Tensor, outward: Tensor) -> list[Tensor]:
        """Gradients of the weights from those of the features of a whole batch."""
        with self.group.step():
            self.group.tell(Backward(number))
            outward = self.group.broadcast(outward.contiguous())
            return self.replica.gradients(own, outward)


class _Features(torch.autograd.Function):
    """Features of a whole batch as a function of the weights, which all processes differentiate together."""

    @staticmethod
    def forward(ctx: Any, encoder: _SharedEncoder, inputs: Tensor, *weights: Tensor) -> Tensor:
        del weights  # the encoder holds them
        ctx.encoder = encoder
        whole, ctx.own, ctx.number = encoder.forward(inputs, gradient=True)
        return whole

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outward: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *ctx.encoder.backward(ctx.number, ctx.own, outward[0])
