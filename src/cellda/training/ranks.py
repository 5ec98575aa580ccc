"""One program in several processes: the main process does the work, and the others help where an encoder is trained."""

import signal
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from cellda.models.folding import Folded
from cellda.runtime.device import tuned_convolutions
from cellda.runtime.group import Group, join
from cellda.runtime.launched import launched
from cellda.runtime.memory import keep_freed_memory
from cellda.training.replica import Backward, Begin, Finish, Forward, Renew, Replica

R = TypeVar("R")


def on_main(work: Callable[[], R]) -> R | None:
    """Do work in the main process of those that `accelerate launch` or `torchrun` has started; the others help to train.

    A process that was started alone is the main process.

    Args:
        work: Everything that the program does.

    Returns:
        What `work` returns; None in the other processes, when the work is done.

    Raises:
        LostProcessError: In the other processes, if the main process has ended before it.
    """
    place = launched()
    if place is None:
        return work()
    group = join(place)
    with group.member():
        if group.main:
            return work()
        serve(group)
        return None


def serve(group: Group) -> None:
    """Help the main process to train until it has done its work. An interruption is left to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with tuned_convolutions():
        while isinstance(begin := group.hear(), Begin):
            Helper(begin, group).train()


class Helper:
    """The part of another process in one training."""

    def __init__(self, begin: Begin, group: Group) -> None:
        self.group = group
        cpu = begin.device == "cpu"
        self.device = torch.device("cpu") if cpu else torch.device("cuda", group.place.local_rank)
        if cpu:
            keep_freed_memory()
        encoder = begin.encoder.to(self.device).to(memory_format=torch.channels_last)
        self.replica = Replica(encoder if begin.pairs is None else Folded(encoder, begin.pairs), group)
        self.found: dict[int, tuple[Tensor, Tensor]] = {}

    def train(self) -> None:
        """Do what the main process says until the training ends."""
        while True:
            match self.group.hear():
                case Renew():
                    self.found.clear()
                    self.replica.renew()
                case Forward() as order:
                    self.forward(order)
                case Backward(number):
                    own, outward = self.found.pop(number)
                    self.replica.gradients(own, self.group.broadcast(outward))
                case Finish():
                    return

    def forward(self, order: Forward) -> None:
        """Encode a part of a batch, and remember it if gradients are asked for."""
        inputs = self.group.broadcast(torch.empty(order.shape, dtype=order.dtype, device=self.device))
        _set_modes(self.replica.encoder, order.training)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=order.bf16):
            whole, own = self.replica.features(
                inputs.contiguous(memory_format=torch.channels_last), gradient=order.gradient
            )
        if order.gradient:
            self.found[order.number] = own, torch.empty_like(whole)


def _set_modes(module: nn.Module, training: tuple[bool, ...]) -> None:
    for part, mode in zip(module.modules(), training, strict=True):
        part.training = mode
