"""The blocks of any timm encoder: their parameters and feature maps."""

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

from jaxtyping import Float
from torch import Tensor, nn

from cellda.models.folding import Folded


def block_ends(encoder: nn.Module) -> list[str]:
    """Names of the modules at which the blocks of an encoder end, in order.

    These are the modules that timm lists as feature maps (`feature_info`); if it lists none, the top-level modules that have
    parameters.
    """
    listed = [info.get("module") for info in getattr(encoder, "feature_info", ())]
    if listed and all(listed):
        return listed
    return [name for name, part in encoder.named_children() if any(True for _ in part.parameters())]


def block_parameters(encoder: nn.Module) -> list[list[str]]:
    """Names of the parameters of each block: all that are defined after the end of the previous block.

    Together they are all parameters of the encoder: parameters before the first block (a stem, position embeddings) belong
    to the first, those after the last (a final convolution or norm) to the last.
    """
    order = [name for name, _ in encoder.named_modules()]
    ends = [
        max(place for place, name in enumerate(order) if name == end or name.startswith(f"{end}."))
        for end in block_ends(encoder)
    ]
    blocks: list[list[str]] = [[] for _ in ends]
    for name, _ in encoder.named_parameters():
        owner = order.index(name.rpartition(".")[0])
        blocks[min(bisect_left(ends, owner), len(ends) - 1)].append(name)
    return blocks


@contextmanager
def feature_maps(encoder: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the outputs of the blocks of an encoder, folded or not, while it runs: one tensor per block, unchanged."""
    layers = _layers(encoder)
    found: list[Tensor] = []
    hooks = [
        layers.get_submodule(name).register_forward_hook(lambda _, __, output: found.append(output))
        for name in block_ends(layers)
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def by_channel(features: Float[Tensor, "b ..."], encoder: nn.Module) -> Float[Tensor, "b c p"]:
    """Output of a block of `encoder`, `(B, C, H, W)`, `(B, H, W, C)` or `(B, tokens, C)`, as `(B, C, positions)`."""
    if features.ndim == 4 and getattr(_layers(encoder), "output_fmt", "NCHW") == "NCHW":
        return features.flatten(2)
    return features.flatten(1, -2).transpose(1, 2)


def _layers(encoder: nn.Module) -> nn.Module:
    return encoder.inner if isinstance(encoder, Folded) else encoder
