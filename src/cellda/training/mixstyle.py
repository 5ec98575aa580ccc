"""MixStyle: mixes feature statistics between the images of a batch while the source model is trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellda.errors import ConfigurationError

ALPHA = 0.1
"""Both parameters of the Beta distribution of the mixing weights; most weights are near 0 or 1."""

REDUCTIONS = (4, 8)
"""Statistics are mixed after the stages whose maps have a fourth and an eighth of the image's side."""

EPSILON = 1e-6


def mix_style(
    maps: Float[Tensor, "b c h w"], partner: Float[Tensor, "b c h w"], share: Float[Tensor, "b 1 1 1"]
) -> Float[Tensor, "b c h w"]:
    """Feature maps with statistics between their own and those of a partner (Zhou et al. 2021).

    `(x - mu) / sd * (l sd + (1 - l) sd') + l mu + (1 - l) mu'`, with mean and standard deviation over each channel of each
    image; no gradient flows through them.

    Args:
        maps: The features of a batch.
        partner: The features whose statistics are mixed in.
        share: Weight `l` of an image's own statistics, in [0, 1].
    """

    def statistics(values: Tensor) -> tuple[Tensor, Tensor]:
        fixed = values.detach()
        variance = fixed.var((2, 3), keepdim=True, correction=0)
        return fixed.mean((2, 3), keepdim=True), (variance + EPSILON).sqrt()

    (mean, deviation), (other_mean, other_deviation) = statistics(maps), statistics(partner)
    normal = (maps - mean) / deviation
    return normal * torch.lerp(other_deviation, deviation, share) + torch.lerp(other_mean, mean, share)


@contextmanager
def mixed_styles(encoder: nn.Module, probability: float) -> Iterator[None]:
    """Context in which an encoder in training mode mixes the statistics of each batch with those of the shuffled batch.

    Random numbers come from torch's global generator, which the training loop seeds. With `probability=0`, nothing changes.

    Args:
        encoder: A timm model whose early stages return `(B, C, H, W)`.
        probability: Probability that a batch is mixed after a stage, in [0, 1].

    Raises:
        ConfigurationError: If the encoder has no such stages.
    """
    stages = _early_stages(encoder) if probability else []

    def mix(stage: nn.Module, _inputs: Any, maps: Tensor) -> Tensor:
        if not stage.training or float(torch.rand(())) >= probability:
            return maps
        share = torch.distributions.Beta(ALPHA, ALPHA).sample((len(maps), 1, 1, 1)).to(maps)
        return mix_style(maps, maps[torch.randperm(len(maps))], share)

    hooks = [stage.register_forward_hook(mix) for stage in stages]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _early_stages(encoder: nn.Module) -> list[nn.Module]:
    """The stages of an encoder after which statistics are mixed."""
    known = list(getattr(encoder, "feature_info", None) or [])
    names = [stage["module"] for stage in known if stage["reduction"] in REDUCTIONS]
    if not names or getattr(encoder, "output_fmt", "NCHW") != "NCHW":
        raise ConfigurationError(
            f"training.mixstyle mixes the feature maps of early convolutional stages; '{type(encoder).__name__}' has "
            "none. Set training.mixstyle=0, or choose a convolutional backbone."
        )
    return [encoder.get_submodule(name) for name in names]
