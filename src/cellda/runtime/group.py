"""The processes of a launcher as one group: the main process tells the others what is done, and tensors are added up."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from cellda.errors import CelldaError, ConfigurationError
from cellda.runtime.launched import Launched, launched

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others within a training step."""

_FOREVER = timedelta(days=365)
"""How long a process waits to be told something: the main process may decode or predict meanwhile."""


class LostProcessError(CelldaError):
    """Raised when a process of the group has ended, does not answer, or has failed in the middle of a step."""


class Group:
    """All processes of a launcher.

    Sums and broadcasts run over gloo on CPUs, and over NCCL between CUDA GPUs. What the main process tells goes over gloo
    always, because a wait over NCCL keeps a GPU busy.

    Args:
        place: The place of this process among them.

    Attributes:
        in_step: Whether no step was broken off; if one was, nothing more is done together.
    """

    def __init__(self, place: Launched) -> None:
        self.place = place
        self.in_step = True
        cuda = torch.cuda.is_available()
        if cuda and place.local_rank < torch.cuda.device_count():
            torch.cuda.set_device(place.local_rank)
        with self._collective():
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if cuda else "gloo",
                rank=place.rank,
                world_size=place.size,
                timeout=PATIENCE,
            )
            told = dist.new_group(backend="gloo", timeout=_FOREVER)
        assert isinstance(told, dist.ProcessGroup)  # every process is a member
        self._told = told

    def check(self, device: torch.device) -> None:
        """Refuse a device on which the processes of a machine cannot train together.

        Raises:
            ConfigurationError: If it is no CPU or CUDA GPU, or there are fewer GPUs than processes.
        """
        if device.type not in {"cpu", "cuda"}:
            raise ConfigurationError(
                f"Several processes train on CPUs or CUDA GPUs, not on '{device.type}': start one process, or set "
                "device='cpu'."
            )
        if device.type == "cuda" and self.place.local_size > torch.cuda.device_count():
            raise ConfigurationError(
                f"{self.place.local_size} processes on this machine would share {torch.cuda.device_count()} GPU(s): start as "
                "many processes as there are GPUs, or set device='cpu'."
            )

    def tell(self, order: Any) -> None:
        """Tell all others something that can be pickled; only the main process does."""
        with self._collective():
            dist.broadcast_object_list([order], src=0, group=self._told)

    def hear(self) -> Any:
        """Wait for what the main process tells next."""
        heard: list[Any] = [None]
        with self._collective():
            dist.broadcast_object_list(heard, src=0, group=self._told)
        return heard[0]

    def broadcast(self, values: Tensor) -> Tensor:
        """Fill a tensor, in place, with the main process's."""
        with self._collective():
            dist.broadcast(values, 0)
        return values

    def total(self, values: Tensor) -> Tensor:
        """Fill a tensor, in place, with the sum over all processes."""
        with self._collective():
            dist.all_reduce(values)
        return values

    @contextmanager
    def step(self) -> Iterator[None]:
        """Context of work in which all processes take part; after an error in it, nothing more is done together.

        The others may wait in the middle of it, and would take what comes next for the rest of it.
        """
        try:
            yield
        except BaseException:
            self.in_step = False
            raise

    @contextmanager
    def member(self) -> Iterator[None]:
        """Context of everything that this process does as a member; after it, the main process has let the others go."""
        try:
            yield
        finally:
            if self.main and self.in_step:  # or else they notice that this process has gone
                self.tell(None)
            dist.destroy_process_group()

    @property
    def main(self) -> bool:
        """Whether this is the main process."""
        return self.place.rank == 0

    @contextmanager
    def _collective(self) -> Iterator[None]:
        if not self.in_step:
            raise LostProcessError(
                f"An earlier error has separated the {self.place.size} processes, so nothing more can be trained: start the "
                "same command again. What is finished is kept."
            )
        with self.step():
            try:
                yield
            except RuntimeError as error:  # of gloo; those of NCCL derive from it
                reason = re.sub(r"^\[[^]]*\] ", "", str(error)).split(". ")[0]
                lost = f"One of the {self.place.size} processes" if self.main else "The main process"
                raise LostProcessError(
                    f"{lost} has ended, or has not answered for {PATIENCE.seconds // 60} minutes ({reason}). What it has said "
                    "itself says why. Start the same command again: it continues from the last checkpoint."
                ) from error


_joined: Group | None = None


def join(place: Launched) -> Group:
    """Make this process a member of the group; all of them must call this once."""
    global _joined
    _joined = Group(place)
    return _joined


def joined() -> Group | None:
    """The group of this process; None if it works alone.

    Raises:
        ConfigurationError: If a launcher has started it beside others and it has not joined them: it would repeat their work.
    """
    place = launched()
    if _joined is None and place is not None:
        raise ConfigurationError(
            f"A launcher has started this program {place.size} times, and every process would do all of its work: put the "
            "work into a function, and call it by cellda.training.ranks.on_main(function)."
        )
    return _joined
