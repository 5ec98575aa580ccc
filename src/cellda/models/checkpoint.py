"""Weights from files: what a checkpoint holds, and how its tensors are called in timm."""

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
"""What training scripts put before the names of the encoder's tensors; beside a teacher's, a student's are left out."""


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file or a torch checkpoint, taken out of what training scripts wrap them in.

    Raises:
        ConfigurationError: If there is no such file, or it holds no state dict.
    """
    if not path.is_file():
        raise ConfigurationError(
            f"backbone.weights='{path}' is neither 'timm', 'packaged', 'none' nor an existing file."
        )
    try:
        # Training scripts keep their command line beside the weights.
        with torch.serialization.safe_globals([Namespace]):
            state = (
                load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, "cpu", weights_only=True)
            )
    except UnpicklingError as error:
        raise ConfigurationError(
            f"{path} could not be read as a state dict: it is no file of torch, or holds more than tensors, such as a whole "
            "model. Write the weights alone, torch.save(model.state_dict(), path)."
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

    Prefixes of training scripts are taken off, and with them go heads that have another one. timm knows for its vision
    transformers what others call their tensors (DINOv2 and what derives from it, as DinoBloom; CLIP; MAE), and resamples the
    position embedding where the encoder sees another number of patches. Other encoders take names as they are.
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
