"""Weights from files: reads a checkpoint and renames its tensors as timm does."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from cellda.errors import ConfigurationError

WRAPPERS = ("state_dict", "model_state_dict", "model", "teacher")
"""Keys under which training scripts keep the weights; self-distillation (DINO) keeps those of its teacher."""

PREFIXES = ("module.", "_orig_mod.", "model.", "teacher.", "backbone.", "encoder.")
"""Prefixes that training scripts put before the names of the encoder's tensors; a student next to a teacher is left out."""


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file or a torch checkpoint, without the wrappers of training scripts.

    Raises:
        ConfigurationError: If there is no such file, or it holds no state dict.
    """
    if not path.is_file():
        raise ConfigurationError(
            f"backbone.weights='{path}' is neither 'timm', 'packaged', 'none' nor an existing file."
        )
    try:
        # Training scripts save their command line, a Namespace, with the weights.
        with torch.serialization.safe_globals([Namespace]):
            state = (
                load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, "cpu", weights_only=True)
            )
    except UnpicklingError as error:
        raise ConfigurationError(
            f"{path} could not be read as a state dict: it is not a torch file, or holds more than tensors, such as a "
            "whole model. Save only the weights: torch.save(model.state_dict(), path)."
        ) from error
    except Exception as error:
        raise ConfigurationError(f"{path} could not be read as a state dict: {error}") from error
    for wrapper in WRAPPERS:
        state = state.get(wrapper, state) if isinstance(state, Mapping) else state
    if not isinstance(state, Mapping):
        raise ConfigurationError(f"{path} holds a {type(state).__name__}, not a state dict.")
    return {str(name): value for name, value in state.items() if isinstance(value, Tensor)}


def for_encoder(state: dict[str, Tensor], encoder: nn.Module) -> dict[str, Tensor]:
    """The tensors under timm's names and in its shapes.

    Prefixes of training scripts are removed, and tensors without the same prefix, such as heads, are dropped. For its vision
    transformers, timm knows the tensor names of other projects (DINOv2 and its derivatives, such as DinoBloom; CLIP; MAE), and
    it resamples the position embedding if the encoder has another number of patches. For other encoders, the names must match.
    """
    own = tuple(encoder.state_dict())
    for prefix in PREFIXES:
        inside = {
            name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
        }
        if inside and not any(name.startswith(prefix) for name in own):
            state = inside
    return (
        dict(checkpoint_filter_fn(dict(state), encoder)) if isinstance(encoder, VisionTransformer) else state
    )
