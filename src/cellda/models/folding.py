"""Frozen BatchNorm as part of the convolution before it: the same function in fewer passes over the activations.

A BatchNorm whose statistics do not move is an affine map of each channel, so `norm(conv(x))` is a convolution with other
weights. Computed from the layers' own parameters at every step, these weights pass gradients on to them, and training goes
as it would have gone (Jacob et al. 2018, section 3.2, without the quantisation).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.func import functional_call

Pair = tuple[str, str]
"""Names of a convolution and of the BatchNorm that alone reads what it gives."""

TOLERANCE = 1e-3
"""Outputs of the folded module may differ by this share of the largest: float32 sums in another order."""


class Folded(nn.Module):
    """A module whose frozen BatchNorms are folded into the convolutions before them.

    Parameters are those of the module itself. Made and undone by `folded`.

    Args:
        inner: The module.
        pairs: Which layers are folded, by name.
    """

    def __init__(self, inner: nn.Module, pairs: tuple[Pair, ...]) -> None:
        super().__init__()
        self.inner = inner
        self.pairs = pairs
        self._fixed: dict[str, Tensor] | None = None

    def forward(self, *inputs: Tensor) -> Any:
        """What the module itself would return."""
        weights = self.weights() if self._fixed is None else self._fixed
        return functional_call(self.inner, weights, inputs, tie_weights=False)

    def weights(self) -> dict[str, Tensor]:
        """Weight and bias of every folded convolution, by name, as functions of the layers' own parameters."""
        weights = {}
        for conv_name, norm_name in self.pairs:
            conv, norm = self.inner.get_submodule(conv_name), self.inner.get_submodule(norm_name)
            assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)  # noqa: PT018 - as `_pairs` found
            gain, shift = _affine(norm)
            weights[f"{conv_name}.weight"] = conv.weight * gain.view(-1, 1, 1, 1)
            weights[f"{conv_name}.bias"] = shift if conv.bias is None else conv.bias * gain + shift
        return weights

    def fix(self) -> None:
        """Compute the weights now and for good: the parameters will not change any more."""
        with torch.no_grad():
            self._fixed = self.weights()


@contextmanager
def folded(module: nn.Module, images: Float[Tensor, "b 3 h w"]) -> Iterator[nn.Module]:
    """Inside, a module that computes what `module` does with frozen BatchNorm statistics, only faster.

    Which layers follow each other is seen on `images`, and that folding them changes nothing is checked there. Where
    nothing can be folded, it is `module` itself.

    Args:
        module: Any module that takes images; its running statistics must not be moved inside.
        images: A few of its inputs.
    """
    pairs = _pairs(module, images)
    if not pairs:
        yield module
        return
    norms = [module.get_submodule(name) for _, name in pairs]
    quick = Folded(module, pairs)
    with _evaluating(module):
        expected = module(images)
    for norm in norms:
        norm.forward = _behind(norm)
    try:
        with _evaluating(module):
            same = torch.allclose(quick(images), expected, atol=TOLERANCE * float(expected.abs().max()))
        if same:
            yield quick
    finally:
        for norm in norms:
            del norm.forward
    if not same:
        yield module


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Without gradients or random numbers; the training modes are as before afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _pairs(module: nn.Module, images: Tensor) -> tuple[Pair, ...]:
    """Convolutions whose output object goes straight into a BatchNorm, found by watching one pass."""
    names = {part: name for name, part in module.named_modules()}
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

    convs = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    norms = [part for part in module.modules() if _is_frozen_norm(part)]
    if not (convs and norms):
        return ()
    hooks = [conv.register_forward_hook(made) for conv in convs]
    hooks += [norm.register_forward_pre_hook(read) for norm in norms]
    try:
        with _evaluating(module):
            module(images)
    finally:
        for hook in hooks:
            hook.remove()
    # A layer that is used in two places belongs to no pair.
    uses = Counter(name for pair in found for name in pair)
    return tuple(pair for pair in found if uses[pair[0]] == uses[pair[1]] == 1)


def _is_frozen_norm(part: nn.Module) -> bool:
    return type(part) in (nn.BatchNorm2d, BatchNormAct2d) and getattr(part, "running_var", None) is not None


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Factor and shift of each channel of a BatchNorm with its running statistics."""
    assert norm.running_mean is not None and norm.running_var is not None  # noqa: PT018 - `_pairs` has seen to it
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
