"""Why a model takes a cell for what it does: where it looks, what can be measured, which labelled cells are alike."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from cellda.imaging.measurements import NAMES, measure
from cellda.models.classifier import CellClassifier

SHOWN = {
    "nucleus_area": "nucleus, share of the frame",
    "nucleus_lobes": "lobes of the nucleus",
    "nucleus_roundness": "roundness of the nucleus (1: disc)",
    "cytoplasm_ratio": "cytoplasm / nucleus (area)",
    "nucleus_density_green": "density of the nucleus (green)",
    "cytoplasm_density_green": "density of the cytoplasm (green)",
    "cytoplasm_eosin_high": "eosin in the cytoplasm",
    "cytoplasm_granules_green": "granules in the cytoplasm",
}
"""Measures that a person is shown, in plain words (`cellda.imaging.measurements`)."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Of one cell.

    Attributes:
        heat: `(h, w)` in [0, 1]: where the network looks; None if its kind has no heat map, or nothing speaks for the class.
        measures: What can be measured, in plain words; empty without a nucleus.
        nearest: Rows of the model's labelled cells (`CellClassifier.evidence`) that are most alike, the nearest first.
        alike: Their cosines, in [-1, 1].
    """

    heat: Float[Tensor, "h w"] | None
    measures: dict[str, float]
    nearest: tuple[int, ...]
    alike: tuple[float, ...]


def explanations(
    model: CellClassifier, pixels: UInt8[Tensor, "n 3 s s"], neighbours: int = 3
) -> list[Explanation]:
    """Explain the most probable class of each cell.

    Args:
        model: The model; it is not changed.
        pixels: Raw cells in the network's size, as the network sees them.
        neighbours: How many labelled cells are named.
    """
    heat = heat_maps(model, pixels)
    measures = measure(pixels.float() / 255)
    evidence = model.evidence
    near: list[tuple[tuple[int, ...], tuple[float, ...]]] = [((), ())] * len(pixels)
    if evidence is not None:
        with torch.no_grad():
            rows, cosines = evidence.nearest(model.for_inference().embedded(pixels).cpu(), neighbours)
        near = [
            (tuple(one.tolist()), tuple(other.tolist())) for one, other in zip(rows, cosines, strict=True)
        ]
    return [
        Explanation(
            None if heat is None or not bool(heat[number].any()) else heat[number],
            {}
            if bool(measures[number].isnan().any())
            else {words: float(measures[number, NAMES.index(name)]) for name, words in SHOWN.items()},
            *near[number],
        )
        for number in range(len(pixels))
    ]


def heat_maps(model: CellClassifier, pixels: UInt8[Tensor, "n 3 s s"]) -> Float[Tensor, "n h w"] | None:
    """Where the network looks for the most probable class of each cell, in [0, 1].

    Of convolutional networks, Grad-CAM: `relu(sum_c w_c A_c)` of the last feature maps `A`, with `w` the mean gradient of the
    class's logit (R. Selvaraju et al.: Grad-CAM, ICCV 2017). Of vision transformers, attention rollout: the product over the
    blocks of `(attention + identity) / 2`, seen from the token that is classified (S. Abnar, W. Zuidema: Quantifying attention
    flow in transformers, ACL 2020). None for encoders that are neither. The trees of a second view are not in it.

    Args:
        model: The model; it is not changed.
        pixels: Raw cells in the network's size.
    """
    images = (model.normalized(pixels) - model.mean) / model.std
    encoder = model.encoder
    if hasattr(encoder, "blocks") and hasattr(encoder, "num_prefix_tokens"):
        found = _rollout(encoder, images)
    elif hasattr(encoder, "forward_features") and hasattr(encoder, "forward_head"):
        found = _grad_cam(model, images)
    else:
        found = None
    if found is None:
        return None
    low, high = found.amin((1, 2), keepdim=True), found.amax((1, 2), keepdim=True)
    return ((found - low) / (high - low).clamp_min(1e-12)).cpu()


def _grad_cam(model: CellClassifier, images: Tensor) -> Tensor | None:
    was_training = model.training
    model.eval()
    try:
        with torch.enable_grad():
            features = model.encoder.forward_features(images)  # type: ignore[operator]
            if features.ndim != 4:
                return None
            features.retain_grad() if features.requires_grad else features.requires_grad_(True)
            pooled = model.encoder.forward_head(features, pre_logits=True)  # type: ignore[operator]
            logits = model.head(model.embedding(pooled))
            best = logits.gather(1, logits.argmax(1, keepdim=True)).sum()
            (gradient,) = torch.autograd.grad(best, features)
        weights = gradient.mean((2, 3), keepdim=True)
        maps: Tensor = (weights * features).sum(1).relu().detach()
        return maps
    finally:
        model.train(was_training)


@torch.no_grad()
def _rollout(encoder: nn.Module, images: Tensor) -> Tensor | None:
    with _attentions(encoder) as seen:
        encoder(images)
    if not seen:
        return None
    flow: Tensor | None = None
    for attention in seen:
        mean = attention.mean(1)
        step = (mean + torch.eye(mean.shape[-1], device=mean.device)) / 2
        flow = step if flow is None else step @ flow
    assert flow is not None
    prefix = int(encoder.num_prefix_tokens)  # type: ignore[arg-type]
    tokens = flow[:, 0, prefix:] if prefix else flow.mean(1)
    side = round(tokens.shape[1] ** 0.5)
    return tokens.reshape(len(tokens), side, side) if side * side == tokens.shape[1] else None


@contextmanager
def _attentions(encoder: nn.Module) -> Iterator[list[Tensor]]:
    """What the blocks of a transformer attend to `(B, heads, tokens, tokens)`, in the order of the blocks."""
    seen: list[Tensor] = []
    layers = [block.attn for block in encoder.blocks if hasattr(getattr(block, "attn", None), "attn_drop")]  # type: ignore[union-attr]
    fused = [getattr(layer, "fused_attn", False) for layer in layers]
    hooks = [
        layer.attn_drop.register_forward_hook(lambda _, given, __: seen.append(given[0])) for layer in layers
    ]
    try:
        for layer in layers:
            layer.fused_attn = False  # the fused operation does not show what it attends to
        with warnings.catch_warnings():
            yield seen
    finally:
        for hook in hooks:
            hook.remove()
        for layer, before in zip(layers, fused, strict=True):
            layer.fused_attn = before
