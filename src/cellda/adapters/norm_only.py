"""Fine-tuning of normalization layers."""

from timm.layers.norm import RmsNorm
from torch import nn

from cellda.adapters import register
from cellda.adapters.base import Offer
from cellda.adapters.families.partial import Partial
from cellda.errors import ConfigurationError
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable


@register("norm_only")
class NormOnly(Partial):
    """Fine-tune the scales and shifts of the normalization layers, and nothing else (Frankle et al. 2021).

    A normalization layer computes `gamma (x - mean) / deviation + beta` for each channel. Every `gamma` and `beta` is trained,
    including the head's: BatchNorm, LayerNorm, GroupNorm and RMSNorm, so transformers can be tuned as well. These few,
    well-scaled weights tolerate a higher learning rate than full fine-tuning.

    Frankle, Schwab and Morcos: Training BatchNorm and only BatchNorm: on the expressive power of random features in CNNs.
    ICLR 2021.
    """

    lr: float = tunable(1e-3, low=1e-4, high=1e-2, log=True, gt=0)

    def check(self, offer: Offer) -> None:
        """Refuse an encoder without scales and shifts."""
        if not scales_and_shifts(offer.encoder):
            raise ConfigurationError(
                "norm_only tunes normalization layers, and this backbone has none with scales and shifts; choose another "
                "backbone, or the adapter 'bitfit'."
            )

    @property
    def makes_head(self) -> bool:
        """False: most of the head's weights stay."""
        return False

    def trained(self, model: CellClassifier) -> set[str]:
        """Every parameter of every normalization layer."""
        return scales_and_shifts(model)


def scales_and_shifts(network: nn.Module) -> set[str]:
    """Names of the parameters of the normalization layers of a network."""
    kinds = nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, RmsNorm
    return {
        f"{place}.{name}"
        for place, part in network.named_modules()
        if isinstance(part, kinds)
        for name, _ in part.named_parameters(recurse=False)
    }
