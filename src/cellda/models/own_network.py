"""A network of the user's own in the place of encoder and embedding, and in front of the head."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NoReturn, Self

import torch
from pydantic import model_validator
from torch import Tensor, nn

from cellda.errors import ConfigurationError
from cellda.framing.spec import FramingSpec
from cellda.models.adjustable import Adjustable
from cellda.models.classifier import CellClassifier
from cellda.models.encoder import pixel_statistics
from cellda.models.folding import Pairs, find_pairs, sharing_copy
from cellda.models.heads.linear import Linear
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec
from cellda.text import counted


class OwnBackbone(Backbone):
    """What the rest of cellda reads of a backbone, of a network that no name builds."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        return self


class OwnNetwork(CellClassifier):
    """A classifier around a copy of the user's encoder: encoder -> embedding -> head.

    The embedding starts as the identity, so that the features of the encoder reach the head unchanged; it is trained like any
    other. A head of the encoder's own, if it has one, becomes the head; otherwise there is a new linear one.

    Args:
        encoder: Maps `(B, 3, H, W)` to `(B, D)`; it is taken over and changed.
        head: Maps `(B, D)` to logits.
        classes: Class names in index order.
        size: Side of the images in pixels.
        mean, std: Three numbers each, with which images in [0, 1] are shifted and scaled before the encoder.
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: Linear,
        classes: Sequence[str],
        size: int,
        mean: Tensor,
        std: Tensor,
    ) -> None:
        Adjustable.__init__(self)  # the parent builds an encoder by name
        self.backbone = OwnBackbone.model_construct(
            name="own", weights="none", image_size=size, embedding=head.width
        )
        self.classes = tuple(classes)
        self.encoder = encoder
        self._pairs: Pairs | None = None
        self.embedding = nn.Linear(head.width, head.width)
        nn.init.eye_(self.embedding.weight)
        nn.init.zeros_(self.embedding.bias)
        self.head = head
        self.normalizer_spec = NormalizerSpec(name="identity")
        self.normalizer = self.normalizer_spec.build()
        self.framing_spec = FramingSpec(name="none")
        self.symmetric, self.second_view, self.calibration = False, None, None
        self.seen, self.evidence = None, None
        self.register_buffer("mean", mean.view(3, 1, 1))
        self.register_buffer("std", std.view(3, 1, 1))
        self._doubles = _runs_in_double(encoder, size)

    def folded(self) -> Self:
        """As for any classifier; an encoder that computes in single precision only is left as it is."""
        return super().folded() if self._doubles else sharing_copy(self)

    def save(self, folder: str | Path, *, half: bool = False) -> NoReturn:
        """Refuse: no name rebuilds this network.

        Raises:
            ConfigurationError: Always.
        """
        del folder, half
        raise ConfigurationError(
            "This classifier holds your own network, which cellda could not build again: save its state_dict() instead."
        )


def parts_of(
    model: nn.Module, probe: Tensor, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[nn.Module, Linear | None, int, Tensor, Tensor]:
    """A copy of a user's model, taken apart.

    Args:
        model: A timm model, with or without its classifier, or any encoder; it is not changed.
        probe: `(B, 3, H, W)` in [0, 1], to try it.
        mean: See `adapt_model`.
        std: See `adapt_model`.

    Returns:
        The encoder, its own classifier if it has one, the number of features, and mean and standard deviation of its input.

    Raises:
        ConfigurationError: If it cannot be copied, is not an encoder of such images, or its classifier cannot be taken off.
    """
    if not isinstance(model, nn.Module):
        raise ConfigurationError(f"model must be a torch.nn.Module; got a {type(model).__name__}.")
    shift, scale = _statistics(model, mean, std)
    try:
        whole: Any = deepcopy(model).cpu().float().eval()
    except Exception as error:  # of the user's own code
        raise ConfigurationError(f"The model cannot be copied: {_reason(error)}.") from error
    inputs = (probe - shift) / scale
    classifier = whole.get_classifier() if _has_classifier(whole) else None
    if classifier is None or isinstance(classifier, nn.Identity):
        return whole, None, _features(whole, inputs).shape[1], shift, scale
    if not isinstance(classifier, nn.Linear):
        raise ConfigurationError(
            f"The classifier of the model is a {type(classifier).__name__}, not a linear layer: give the model without it "
            "(timm.create_model(..., num_classes=0)), and a new classifier is learned."
        )
    before = _features(whole, inputs)
    whole.reset_classifier(0)
    head = Linear(classifier.in_features, classifier.out_features)
    with torch.no_grad():
        head.linear.weight.copy_(classifier.weight)
        head.linear.bias.zero_() if classifier.bias is None else head.linear.bias.copy_(classifier.bias)
        features = _features(whole, inputs)
        same = features.shape[1] == head.width and torch.allclose(
            head(features), before, rtol=1e-3, atol=1e-4
        )
    if not same:
        raise ConfigurationError(
            "The classifier of the model cannot be taken off: what is left does not give the features that it reads. Give the "
            "model without it (num_classes=0), and a new classifier is learned."
        )
    return whole, head, head.width, shift, scale


def _has_classifier(model: Any) -> bool:
    return hasattr(model, "get_classifier") and hasattr(model, "reset_classifier")


def _statistics(
    model: nn.Module, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, `(3, 1, 1)`: those given, timm's, or 0 and 1."""
    known = hasattr(model, "pretrained_cfg") or hasattr(model, "default_cfg")
    own = pixel_statistics(model) if known else (torch.zeros(3, 1, 1), torch.ones(3, 1, 1))
    found = []
    for name, given, default in (("mean", mean, own[0]), ("std", std, own[1])):
        values = default if given is None else torch.as_tensor(given, dtype=torch.float32)
        if values.numel() != 3 or not values.isfinite().all() or (name == "std" and (values <= 0).any()):
            above = ", above 0" if name == "std" else ""
            raise ConfigurationError(
                f"{name} takes three finite numbers{above}, one for each channel; got {given!r}."
            )
        found.append(values.view(3, 1, 1))
    return found[0], found[1]


def _features(encoder: nn.Module, inputs: Tensor) -> Tensor:
    """What an encoder gives for some images, checked."""
    try:
        with torch.no_grad():
            found: Any = encoder(inputs)
    except Exception as error:  # of the user's own code
        raise ConfigurationError(
            f"The model does not take images of the shape {tuple(inputs.shape)}: {_reason(error)}."
        ) from error
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(inputs):
        shape = (
            f"the shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        )
        raise ConfigurationError(
            f"The model must map images (B, 3, H, W) to features (B, D); for {counted(len(inputs), 'image(s)')} it gives "
            f"{shape}. Pool and flatten its feature maps, or give the part of it that does."
        )
    if not found.isfinite().all():
        raise ConfigurationError(
            "The model gives NaN or infinite values for the labelled images: check its weights."
        )
    return found.float()


def _runs_in_double(encoder: nn.Module, size: int) -> bool:
    """Whether an encoder can be folded, which is checked in double precision."""
    try:
        find_pairs(encoder, torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)))
    except Exception:  # of the user's own code, such as a cast in its forward
        return False
    return True


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
