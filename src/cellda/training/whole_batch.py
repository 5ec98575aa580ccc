"""BatchNorm whose statistics are those of a batch that several processes share.

torch's SyncBatchNorm computes the same, on GPUs only.
"""

from functools import partial
from typing import Any

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from cellda.runtime.group import Group

KNOWN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, BatchNormAct2d)
"""Kinds of BatchNorm that can take their statistics over all processes."""


class Scope:
    """Whether a batch is shared now.

    Args:
        group: The processes that share it.

    Attributes:
        shared: False where one process computes a whole batch alone.
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        self.shared = False


def take_whole_batches(module: nn.Module, scope: Scope) -> None:
    """Let every BatchNorm of a module, in place, take its statistics over all processes while a batch is shared."""
    for part in module.modules():
        if isinstance(part, KNOWN) and type(part) in KNOWN:
            part.forward = partial(_normalized, part, scope)  # type: ignore[method-assign]


def _normalized(
    norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d, scope: Scope, values: Tensor
) -> Tensor:
    """What the layer computes, for this process's part `(b, C, ...)` of a batch."""
    if not scope.shared or not (norm.training or norm.running_mean is None):
        return type(norm).forward(norm, values)
    output: Tensor
    output, mean, variance, count = _Normalization.apply(
        values, norm.weight, norm.bias, norm.eps, scope.group
    )
    if norm.training and norm.running_mean is not None:
        _move(norm, mean, variance * count / (count - 1))
    if isinstance(norm, BatchNormAct2d):
        output = norm.act(norm.drop(output))
    return output


@torch.no_grad()
def _move(norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics towards those of a batch."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(variance, share)


class _Normalization(torch.autograd.Function):
    """`(x - mean) / sqrt(var + eps) weight + bias` with the moments, and their gradients, of all processes' values."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, group: Group
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        exact = _exact(values)
        others = [axis for axis in range(values.ndim) if axis != 1]
        number = exact.new_tensor([values.numel() / values.shape[1]])
        sums = group.total(torch.cat([exact.sum(others), number]))
        mean, count = sums[:-1] / sums[-1], sums[-1]
        variance = group.total((exact - _along(mean, exact)).square().sum(others)) / count
        ctx.save_for_backward(values, weight, mean, (variance + eps).rsqrt(), count)
        ctx.group, ctx.others, ctx.biased = group, others, bias is not None
        ctx.mark_non_differentiable(mean, variance, count)
        return F.batch_norm(values, mean, variance, weight, bias, False, 0.0, eps), mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        values, weight, mean, scale, count = ctx.saved_tensors
        slope = _exact(gradients[0])
        normal = (_exact(values) - _along(mean, values)) * _along(scale, values)
        sums = torch.stack([slope.sum(ctx.others), (slope * normal).sum(ctx.others)])
        of_bias, of_weight = sums.clone()  # of this process's part; the training adds them up
        means = ctx.group.total(sums) / count
        inward = slope - _along(means[0], values) - normal * _along(means[1], values)
        factor = scale if weight is None else scale * weight
        return (
            (inward * _along(factor, values)).to(values.dtype),
            None if weight is None else of_weight,
            of_bias if ctx.biased else None,
            None,
            None,
        )


def _along(channels: Tensor, values: Tensor) -> Tensor:
    """Values `(C,)` in the shape in which they multiply `(b, C, ...)`."""
    return channels.view(1, -1, *[1] * (values.ndim - 2))


def _exact(values: Tensor) -> Tensor:
    """Values in single precision, if they are in half."""
    return values.float() if values.dtype.itemsize < 4 else values
