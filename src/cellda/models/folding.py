"""Frozen BatchNorm as part of the convolution before it: the same function in fewer passes over the activations.

A BatchNorm whose statistics do not move is an affine map of each channel, so `norm(conv(x))` is a convolution with other
weights. Computed from the layers' own parameters at every step, these weights pass gradients on to them, and training goes
as it would have gone (Jacob et al. 2018, section 3.2, without the quantisation).
"""

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from itertools import chain
from typing import Any, Self, TypeVar

import torch
from jaxtyping import Float
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.func import functional_call

Pair = tuple[str, str]
"""Names of a convolution and of the BatchNorm that alone reads what it gives."""

TOLERANCE = 1e-3
"""Outputs of the folded module may differ by this share of the largest: float32 sums in another order."""

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

M = TypeVar("M", bound=nn.Module)


class Folded(nn.Module):
    """What a module computes with frozen BatchNorm statistics, its BatchNorms folded into the convolutions before them.

    Args:
        layers: A `sharing_copy` of the module, which this one takes over and changes. Running statistics must not be moved
            through it.
        pairs: Which layers are folded, by name, as `find_pairs` gives them.
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
            assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)  # noqa: PT018 - as `find_pairs` found
            gain, shift = _affine(norm)
            weights[f"{conv_name}.weight"] = conv.weight * gain.view(-1, 1, 1, 1)
            weights[f"{conv_name}.bias"] = shift if conv.bias is None else conv.bias * gain + shift
        return weights

    def fixed(self) -> Self:
        """This module, its weights computed now and for good: the parameters will not change any more."""
        with torch.no_grad():
            self._fixed = self.weights()
        return self


def folded(module: nn.Module, images: Float[Tensor, "b 3 h w"]) -> nn.Module:
    """A module that computes what `module` does with frozen BatchNorm statistics, only faster; it shares its parameters.

    Where nothing can be folded, it is `module` itself.

    Args:
        module: Any module that takes images.
        images: A few of its inputs, to find its pairs on.
    """
    pairs = find_pairs(module, images)
    return Folded(sharing_copy(module), pairs) if pairs else module


def find_pairs(module: nn.Module, images: Float[Tensor, "b 3 h w"]) -> tuple[Pair, ...]:
    """Which convolutions and BatchNorms of a module can be folded.

    Which layers follow each other is seen by watching one pass over `images`. That folding them changes nothing is checked
    there as well: if it does (a convolution that is read elsewhere too, or works its weights over), there are none. Nor are
    there any in a module with hooks, which might look at what folding leaves out.
    """
    if hooked(module):
        return ()
    watched = deepcopy(
        module, {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    ).eval()
    names = {part: name for name, part in watched.named_modules()}
    convs = [part for part in watched.modules() if isinstance(part, nn.Conv2d)]
    norms = [part for part in watched.modules() if _is_frozen_norm(part)]
    if not (convs and norms):
        return ()
    maker: dict[int, nn.Module] = {}
    outputs = []  # kept, so that no identity is used twice
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
    with torch.no_grad():
        expected = watched(images)
        if not isinstance(expected, Tensor):
            return ()
        for hook in hooks:
            hook.remove()
        # A layer that is used in two places belongs to no pair.
        uses = Counter(name for pair in found for name in pair)
        pairs = tuple(pair for pair in found if uses[pair[0]] == uses[pair[1]] == 1)
        changed = (Folded(watched, pairs).eval()(images) - expected).abs().max()
    return pairs if float(changed) <= TOLERANCE * float(expected.abs().max()) else ()


def hooked(module: nn.Module) -> bool:
    """Whether anybody looks into a module as it runs."""
    return any(vars(part)[name] for part in module.modules() for name in _HOOKS)


def sharing_copy(module: M) -> M:
    """A copy of a module's layers around the very same parameters, buffers and hooks."""
    hooks = (vars(part)[name] for part in module.modules() for name in _HOOKS)
    return deepcopy(module, {id(kept): kept for kept in chain(module.parameters(), module.buffers(), hooks)})


def _is_frozen_norm(part: nn.Module) -> bool:
    return type(part) in (nn.BatchNorm2d, BatchNormAct2d) and getattr(part, "running_var", None) is not None


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Factor and shift of each channel of a BatchNorm with its running statistics."""
    assert norm.running_mean is not None and norm.running_var is not None  # noqa: PT018 - `find_pairs` has seen to it
    gain = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        gain = norm.weight * gain
    shift = -norm.running_mean * gain
    return gain, shift if norm.bias is None else norm.bias + shift


def _behind(norm: nn.Module) -> Callable[[Tensor], Tensor]:
    """What is left of a BatchNorm that is folded: timm's holds dropout and the activation as well."""
    if isinstance(norm, BatchNormAct2d):
        drop, act = norm.drop, norm.act
        return lambda values: act(drop(values))
    return lambda values: values
