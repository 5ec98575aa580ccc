"""What timm knows about a model by name: whether it exists, its native image size, its layers without values."""

import difflib
from functools import cache

import timm
import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models import PretrainedCfg
from torch import nn

from cellda.errors import ConfigurationError, UnknownNameError, nearest

PACKAGED = "tf_efficientnet_lite0"
"""The timm model that the packaged weights belong to."""


def check_backbone(name: str, weights: str, image_size: int) -> None:
    """Refuse an unknown timm model, packaged weights of another model, and image sizes that its patches do not cover.

    Args:
        name: A timm model name.
        weights: As in `cellda.models.spec.Backbone`.
        image_size: Side of the square input in pixels.

    Raises:
        UnknownNameError: If timm has no such model, or no such weights of it.
        ConfigurationError: If the packaged weights do not belong to this backbone, or a transformer's patches do not cover
            the image.
    """
    _configuration(name)
    if weights == "packaged" and name != PACKAGED:
        raise ConfigurationError(
            f"The packaged weights are those of '{PACKAGED}', not of '{name}': set backbone.name='{PACKAGED}', "
            "or backbone.weights='timm' to download the weights of your model."
        )
    patches = getattr(encoder_structure(name), "patch_embed", None)
    if isinstance(patches, PatchEmbed) and (rest := image_size % patches.patch_size[0]):
        raise ConfigurationError(
            f"'{name}' uses patches of {patches.patch_size[0]} pixels, which would leave out the last {rest} of "
            f"image_size={image_size}; set backbone.image_size to {image_size - rest} or "
            f"{image_size - rest + patches.patch_size[0]}."
        )


def native_size(name: str) -> int:
    """Side in pixels of the images that a timm model's own weights were trained on.

    Raises:
        UnknownNameError: If timm has no such model, or no such weights of it.
    """
    return int(_configuration(name).input_size[-1])


@cache
def encoder_structure(name: str) -> nn.Module:
    """A timm encoder without values, on the `meta` device: layers and parameter shapes; it must not be changed."""
    with torch.device("meta"):
        return timm.create_model(name, pretrained=False, num_classes=0)


def _configuration(name: str) -> PretrainedCfg:
    """What timm knows about a model's weights.

    Raises:
        UnknownNameError: If timm has no such model, or no such weights of it.
    """
    architecture = name.split(".")[0]
    if not timm.is_model(architecture):
        raise UnknownNameError(f"timm has no model '{name}'; {_near_models(architecture)}")
    try:
        return timm.get_pretrained_cfg(name) or PretrainedCfg()  # without weights: timm's defaults
    except RuntimeError as error:  # an unknown tag after the dot
        tags = timm.list_models(f"{architecture}.*", pretrained=True)
        raise UnknownNameError(f"timm has no weights '{name}'; {nearest(name, tags)}") from error


def _near_models(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), timm.list_models(), n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{hint}timm.list_models() names all of them."
