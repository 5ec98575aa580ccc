"""The optimizer and the learning-rate schedule."""

import torch
from torch import nn
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR

from cellda.training.objective import Objective
from cellda.training.settings import Training


def optimizer_of(module: nn.Module, objective: Objective, settings: Training) -> torch.optim.Optimizer:
    """The optimizer of all trainable weights, with one parameter group per learning-rate factor."""
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    rates = objective.rates
    groups: dict[float, list[nn.Parameter]] = {}
    for name, weight in module.named_parameters():
        if weight.requires_grad:
            fitting = max((prefix for prefix in rates if name.startswith(prefix)), key=len, default=None)
            groups.setdefault(1.0 if fitting is None else rates[fitting], []).append(weight)
    own = list(objective.parameters())
    if own:
        groups.setdefault(objective.rate, []).extend(own)
    return kind(
        [{"params": weights, "lr": settings.lr * factor} for factor, weights in groups.items()],
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def schedule_of(optimizer: torch.optim.Optimizer, settings: Training, steps: int) -> LRScheduler:
    """The learning-rate schedule over all steps: one cycle that peaks at each group's rate (Smith 2018), or constant."""
    if settings.one_cycle:
        return OneCycleLR(optimizer, [group["lr"] for group in optimizer.param_groups], total_steps=steps)
    return ConstantLR(optimizer, factor=1.0)
