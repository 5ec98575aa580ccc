"""Folds frozen BatchNorm into the convolution before it: the same function in fewer passes over the activations.

A BatchNorm with fixed statistics is an affine map of each channel, so `norm(conv(x))` is a convolution with other weights.
These weights are computed from the layers' own parameters at every step, so that gradients flow through them to the
parameters, and training proceeds as it would without folding (Jacob et al. 2018, section 3.2, without the quantisation).
"""

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self, TypeVar

import torch
from jaxtyping import Float
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.func import functional_call

Pair = tuple[str, str]
"""Names of a convolution and of the BatchNorm that is the only reader of its output."""

TOLERANCE = 1e-6
"""Tolerance of the outputs of the folded module, relative to the largest output, in float64."""

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

M = TypeVar("M", bound=nn.Module)


class Folded(nn.Module):
    """A module with frozen BatchNorm statistics, its BatchNorms folded into the convolutions before them.

    Args:
        layers: A `sharing_copy` of the module, which this class takes over and changes. It must not be used to update running
            statistics.
        pairs: The layers to fold, by name, as `find_pairs` returns them.
    """

    def __init__(self, layers: nn.Module, pairs: tuple[Pair, ...]) -> None:
        super().__init__()
        self.inner = layers
        self.pairs = pairs
        self._fixed: dict[str, Tensor] | None = None
        for _, name in pairs:
            norm = self.inner.get_submodule(name)
            norm.forward = _behind(norm)

    def forward(self, *inputs: Tensor) -> Any:
        """What the module itself would return."""
        weights = self.weights() if self._fixed is None else self._fixed
        return functional_call(self.inner, weights, inputs, tie_weights=False)

    def weights(self) -> dict[str, Tensor]:
        """Weight and bias of every folded convolution, by name, as functions of the layers' own parameters."""
        weights = {}
        for conv_name, norm_name in self.pairs:
            conv, norm = self.inner.get_submodule(conv_name), self.inner.get_submodule(norm_name)
            # `find_pairs` checked it.
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            gain, shift = _affine(norm)
            weights[f"{conv_name}.weight"] = conv.weight * gain.view(-1, 1, 1, 1)
            weights[f"{conv_name}.bias"] = shift if conv.bias is None else conv.bias * gain + shift
        return weights

    def fixed(self) -> Self:
        """This module, with its weights computed once: the parameters must not change afterwards."""
        with torch.no_grad():
            self._fixed = self.weights()
        return self

    @torch.no_grad()
    def plain(self) -> nn.Module:
        """The layers as they are after folding, with weights of their own: for tools that record a module."""
        for name, weight in self.weights().items():
            layer, _, tensor = name.rpartition(".")
            self.inner.get_submodule(layer).register_parameter(
                tensor, nn.Parameter(weight, requires_grad=False)
            )
        return self.inner


@dataclass(frozen=True)
class Pairs:
    """The layers of a module that can be folded.

    Attributes:
        names: Their names.
        layers: The layers themselves, to detect that they were replaced.
    """

    names: tuple[Pair, ...] = ()
    layers: tuple[nn.Module, ...] = ()

    def fit(self, module: nn.Module) -> bool:
        """Whether there are pairs, and they are still layers of `module` that can be folded."""
        known = dict(module.named_modules())
        there = [known.get(name) for pair in self.names for name in pair]
        return (
            bool(self.names)
            and not hooked(module)
            and all(one is other for one, other in zip(there, self.layers, strict=True))
            and all(_is_plain_conv(layer) or _is_frozen_norm(layer) for layer in self.layers)
        )


def folded(module: M, pairs: Pairs) -> "M | Folded":
    """A faster module that computes what `module` does with frozen BatchNorm statistics, and shares its parameters.

    If nothing can be folded, this is `module` itself.
    """
    return Folded(sharing_copy(module), pairs.names) if pairs.names else module


@torch.no_grad()
def find_pairs(module: nn.Module, images: Float[Tensor, "b 3 h w"]) -> Pairs:
    """Find the convolutions and BatchNorms of a module that can be folded.

    A copy processes `images` in float64 on the CPU, which shows which layers follow each other. The folded copy is then
    checked to give the same output; if it does not (because a convolution's output is also used elsewhere, or its weights are
    recomputed), no pairs are returned. The same holds for a module with hooks, which might read what folding removes.

    Args:
        module: Any module that takes images.
        images: One or a few of its inputs.
    """
    candidates = [part for part in module.modules() if _is_plain_conv(part)]
    if hooked(module) or not candidates or not any(map(_is_frozen_norm, module.modules())):
        return Pairs()
    watched = deepcopy(module).cpu().double().eval()
    names = {part: name for name, part in watched.named_modules()}
    convs = [part for part in watched.modules() if _is_plain_conv(part)]
    norms = [part for part in watched.modules() if _is_frozen_norm(part)]
    maker: dict[int, nn.Module] = {}
    outputs = []  # kept alive, so that no id is reused
    found: list[Pair] = []

    def made(conv: nn.Module, _: Any, output: Tensor) -> None:
        maker[id(output)] = conv
        outputs.append(output)

    def read(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        conv = maker.get(id(inputs[0]))
        if conv is not None:
            found.append((names[conv], names[norm]))

    hooks = [conv.register_forward_hook(made) for conv in convs]
    hooks += [norm.register_forward_pre_hook(read) for norm in norms]
    inputs = images.cpu().double()
    expected = watched(inputs)
    if not isinstance(expected, Tensor):
        return Pairs()
    for hook in hooks:
        hook.remove()
    # A layer that is used in two places cannot be folded.
    uses = Counter(name for pair in found for name in pair)
    pairs = tuple(pair for pair in found if uses[pair[0]] == uses[pair[1]] == 1)
    changed = (Folded(watched, pairs).eval()(inputs) - expected).abs().max()
    if float(changed) > TOLERANCE * float(expected.abs().max()):
        return Pairs()
    return Pairs(pairs, tuple(module.get_submodule(name) for pair in pairs for name in pair))


def hooked(module: nn.Module) -> bool:
    """Whether a module has hooks."""
    return any(vars(part)[name] for part in module.modules() for name in _HOOKS)


def sharing_copy(module: M) -> M:
    """A copy of a module's layers that shares its parameters, buffers and hooks."""
    hooks = (vars(part)[name] for part in module.modules() for name in _HOOKS)
    tensors = (
        value for part in module.modules() for value in vars(part).values() if isinstance(value, Tensor)
    )
    kept = chain(module.parameters(), module.buffers(), tensors, hooks)
    return deepcopy(module, {id(one): one for one in kept})


def _is_plain_conv(part: nn.Module) -> bool:
    """Whether a convolution's weight is its own parameter, and not computed from others at each use."""
    return isinstance(part, nn.Conv2d) and "weight" in part._parameters


def _is_frozen_norm(part: nn.Module) -> bool:
    return type(part) in (nn.BatchNorm2d, BatchNormAct2d) and getattr(part, "running_var", None) is not None


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Factor and shift per channel of a BatchNorm with its running statistics."""
    # `find_pairs` checked it.
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        gain = norm.weight * gain
    shift = -norm.running_mean * gain
    return gain, shift if norm.bias is None else norm.bias + shift


def _behind(norm: nn.Module) -> Callable[[Tensor], Tensor]:
    """What remains of a folded BatchNorm: timm's also includes dropout and the activation."""
    if isinstance(norm, BatchNormAct2d):
        drop, act = norm.drop, norm.act
        return lambda values: act(drop(values))
    return lambda values: values
