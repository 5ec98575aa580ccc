"""One pass over the examples."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from accelerate import Accelerator
from torch import Generator, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from cellda.runtime.device import DevicePlan
from cellda.training.examples import Batch, Examples
from cellda.training.objective import Objective, Step
from cellda.training.settings import Training


class Prepared(NamedTuple):
    """The objects that accelerate has prepared."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: LRScheduler
    loader: DataLoader[Batch]


class Epoch:
    """One pass over the examples with the objects that accelerate has prepared."""

    def __init__(
        self,
        accelerator: Accelerator,
        plan: DevicePlan,
        examples: Examples,
        objective: Objective,
        settings: Training,
        prepared: Prepared,
    ) -> None:
        self.accelerator, self.plan = accelerator, plan
        self.examples, self.objective, self.settings = examples, objective, settings
        self.module, self.optimizer, self.scheduler, self.loader = prepared

    def run(
        self, generator: Generator, progress: float, share: float, advance: Callable[[int], None]
    ) -> float:
        """Train for one epoch and return the mean loss over its examples.

        Args:
            generator: Provides the randomness of the augmentation.
            progress: Fraction of all steps that are done.
            share: One step as a fraction of all steps.
            advance: Called with 1 after every step.
        """
        self.module.train()
        if self.settings.bn == "frozen":
            freeze_batchnorm(self.module)
        total, seen = torch.zeros((), device=self.accelerator.device), 0
        for batch in self.loader:
            _, labels, parts = batch
            self.optimizer.zero_grad()
            inputs = self.examples.prepare(batch, generator)
            bf16 = self.plan.precision == "bf16"
            with torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=bf16):
                loss = self.objective.loss(self.module, Step(inputs, labels, parts, progress))
            self.accelerator.backward(loss)
            self.optimizer.step()
            self.scheduler.step()
            self.objective.after_step()
            progress += share
            total += loss.detach() * len(labels)
            seen += len(labels)
            advance(1)
        return float(total) / seen


def freeze_batchnorm(module: nn.Module) -> None:
    """Freeze the running statistics of every BatchNorm2d; their affine weights still train."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
