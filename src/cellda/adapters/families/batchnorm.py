"""BatchNorm statistics of source and unlabelled images, exact over all of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn

from cellda.adapters.base import Adapter, Effect, Need, Offer
from cellda.adapters.families.pool import Pooled
from cellda.data.image_set import ImageSet
from cellda.errors import ConfigurationError
from cellda.models.classifier import CellClassifier
from cellda.runtime import progress
from cellda.runtime.work import Stage, Work

BATCH = 64
"""Images that are normalized together while statistics are computed."""

SOURCE_IMAGES = 200
"""Maximum number of source images for statistics: each has hundreds of positions per channel."""


class SourceStatistics(Pooled, Adapter):
    """Base of methods that move the encoder's BatchNorm statistics from the source's to the pool's.

    They start from an encoder with the source's statistics: adapters before them in a chain must not change the encoder.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.ENCODER, Effect.SOURCE_STATISTICS})
    needs: ClassVar[frozenset[Need]] = frozenset({Need.UNLABELLED, Need.SOURCE})

    def check(self, offer: Offer) -> None:
        """Refuse an encoder without BatchNorm, and a pool too small for statistics."""
        if not batchnorms(offer.encoder):
            raise ConfigurationError(
                f"{self.name} works on the BatchNorm layers of the encoder, and this backbone has none; choose a backbone "
                "with BatchNorm (tf_efficientnet_lite0, resnet18, ...) or another adapter."
            )
        if offer.unlabelled < 2:
            raise ConfigurationError(
                f"{self.name} computes statistics over unlabelled images, which takes more than one image; give it at least 2 "
                "or choose another adapter."
            )


def batchnorms(encoder: nn.Module) -> list[nn.BatchNorm2d]:
    """The BatchNorm layers of an encoder that keep running statistics."""
    return [
        part
        for part in encoder.modules()
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None
    ]


def keep_to_source(model: CellClassifier, sources: Sequence[ImageSet]) -> None:
    """Set the running statistics of the encoder's BatchNorms to those of source images without changing any output.

    A layer computes `(x - mean) / sqrt(var) gain + bias`; with the source's `mean` and `var` in place of its own, another
    gain and bias give the same output. A source model trained with frozen statistics (the default) still has those of
    ImageNet, and its weights have adapted to them: replacing them by the target's would shift every channel, even if the
    target were the source.

    Args:
        model: On any device; it is left in evaluation mode.
        sources: The source images; at most `SOURCE_IMAGES`, spread over all of them, are used in evaluation mode.
    """
    layers = [layer for layer in batchnorms(model.encoder) if layer.affine]
    total = sum(map(len, sources))
    chosen = torch.linspace(0, total - 1, min(total, SOURCE_IMAGES)).long()  # sets may be sorted by class
    model.eval()
    device, first = model.mean.device, 0
    with torch.no_grad(), _watching(layers) as moments:
        for part in sources:
            rows = chosen[(chosen >= first) & (chosen < first + len(part))] - first
            first += len(part)
            for batch in torch.split(rows, BATCH):
                if len(batch):
                    pixels = part.raw(batch).to(device, torch.float32) / 255
                    model.embed(part.normalizer.to(device)(pixels))  # each source keeps its own normalizer
        for layer, found in zip(layers, moments, strict=True):
            (mean, var), (own_mean, own_var) = found.pooled(), _running(layer)
            mean, var = mean.to(own_mean), var.to(own_var)
            layer.bias.add_(layer.weight * (mean - own_mean) / (own_var + layer.eps).sqrt())
            layer.weight.mul_(((var + layer.eps) / (own_var + layer.eps)).sqrt())
            own_mean.copy_(mean)
            own_var.copy_(var)


def take_statistics(model: CellClassifier, images: ImageSet, alpha: float = 1.0) -> None:
    """Move the running statistics of the encoder's BatchNorms to those of `images`, in one pass over all of them.

    `mean = (1 - alpha) mean_before + alpha mean_images`, and likewise for the variances. `mean_images` and the (unbiased)
    variance are exact over every position of every image, as a layer sees them while the layers before it normalize with the
    statistics of the batch. A batch takes images from all over the set, because sets may be sorted by class.

    Args:
        model: On any device; it is left in evaluation mode.
        images: At least 2.
        alpha: 0 keeps the statistics, 1 replaces them.
    """
    layers = batchnorms(model.encoder)
    before = [tuple(value.clone() for value in _running(layer)) for layer in layers]
    model.eval()
    for layer in layers:
        layer.train()
    batches = -(-len(images) // BATCH)
    with (
        torch.no_grad(),
        _watching(layers) as moments,
        progress.task(Work(Stage.TAKE_STATISTICS), len(images)) as advance,
    ):
        for first in range(batches):
            positions = range(first, len(images), batches)
            model.embed(model.normalized(images.raw(positions)))
            advance(len(positions))
    model.eval()
    for layer, source, found in zip(layers, before, moments, strict=True):
        for running, own, pooled in zip(_running(layer), source, found.pooled(), strict=True):
            running.copy_(own.lerp(pooled.to(own), alpha))


def _running(layer: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A layer's running mean and variance."""
    # `batchnorms` found only such layers.
    assert layer.running_mean is not None
    assert layer.running_var is not None
    return layer.running_mean, layer.running_var


@contextmanager
def _watching(layers: list[nn.BatchNorm2d]) -> "Iterator[list[_Moments]]":
    """Collect the moments of each layer's inputs while the context is open."""
    moments = [_Moments() for _ in layers]
    hooks = [
        layer.register_forward_pre_hook(lambda _, given, into=into: into.add(given[0]))
        for layer, into in zip(layers, moments, strict=True)
    ]
    try:
        yield moments
    finally:
        for hook in hooks:
            hook.remove()


class _Moments:
    """Mean and variance of each channel of everything added, in float64 on the CPU."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, Tensor, Tensor]] = []

    def add(self, values: Tensor) -> None:
        """Add values `(B, C, H, W)`."""
        var, mean = (one.cpu().double() for one in torch.var_mean(values, (0, 2, 3), correction=0))
        self.parts.append((values.numel() // values.shape[1], mean, var))

    def pooled(self) -> tuple[Tensor, Tensor]:
        """Mean and unbiased variance `(C,)` of all parts together."""
        counts, means, variances = zip(*self.parts, strict=True)
        positions = sum(counts)
        share = torch.tensor(counts, dtype=torch.float64)[:, None] / positions
        mean = (share * torch.stack(means)).sum(0)
        variance = (share * (torch.stack(variances) + (torch.stack(means) - mean) ** 2)).sum(0)
        return mean, variance * (positions / (positions - 1))
