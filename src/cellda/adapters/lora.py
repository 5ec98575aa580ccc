"""Low-rank adaptation."""

import re
from importlib.util import find_spec

import torch
from torch import nn

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Offer, TargetView
from cellda.adapters.families.partial import Partial
from cellda.errors import ConfigurationError
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable


@register("lora")
class Lora(Partial):
    """Fine-tune low-rank updates of the encoder's weights, and the head (Hu et al. 2022; needs the package peft).

    A weight `W` becomes `W + (scale / rank) B A` with a random `A` and a zero `B`, both of the given rank; only `A`, `B` and
    the head are trained. peft applies this to linear layers and to convolutions without groups; convolutions with custom
    padding or weight standardisation are left unchanged. Afterwards the updates are merged into the weights, so the model
    keeps its structure.

    Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang and Chen: LoRA: low-rank adaptation of large language models. ICLR 2022.
    """

    lr: float = tunable(1e-3, low=1e-4, high=1e-2, log=True, gt=0)
    rank: int = tunable(8, choices=(2, 4, 8, 16), ge=1)
    scale: int = tunable(16, choices=(4, 8, 16, 32), ge=1)

    def check(self, offer: Offer) -> None:
        """Refuse to run without peft, and an encoder without layers to change."""
        if find_spec("peft") is None:
            raise ConfigurationError("The adapter 'lora' needs the package peft: pip install 'cellda[lora]'.")
        if not changeable(offer.encoder):
            raise ConfigurationError(
                "lora changes linear layers and convolutions without groups, and this backbone has none; choose another "
                "backbone, or the adapter 'full'."
            )

    def trained(self, model: CellClassifier) -> set[str]:
        """The parameters that peft added, and every parameter of the head."""
        names = [name for name, _ in model.named_parameters()]
        return {name for name in names if ".lora_" in name or name.startswith("head.")}

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Add the low-rank updates, train them and the head on the support images, and merge them."""
        from peft import LoraConfig, LoraModel  # an optional package

        layers = "|".join(map(re.escape, changeable(model.encoder)))
        config = LoraConfig(r=self.rank, lora_alpha=self.scale, target_modules=layers)
        with torch.random.fork_rng():
            torch.manual_seed(context.seed)
            changed = LoraModel(model.encoder, config, "default")
        super().adapt(model, target, context)
        model.encoder = changed.merge_and_unload()
        return model


def changeable(encoder: nn.Module) -> list[str]:
    """Names of the layers that peft can change: linear ones and convolutions without groups."""
    return [
        name
        for name, layer in encoder.named_modules()
        if type(layer) is nn.Linear or (type(layer) is nn.Conv2d and layer.groups == 1)
    ]
