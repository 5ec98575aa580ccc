"""Fine-tuning of biases."""

from cellda.adapters import register
from cellda.adapters.base import Offer
from cellda.adapters.families.partial import Partial
from cellda.errors import ConfigurationError
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable


@register("bitfit")
class BitFit(Partial):
    """Fine-tune the biases of encoder and embedding, and the head (Ben Zaken et al. 2022).

    In every layer `W x + b` only `b` is trained, including the `beta` of normalization layers, which is the only bias in most
    convolutional encoders. The whole head is trained, as in the paper, which also finds that biases need a higher learning
    rate than full fine-tuning.

    Ben Zaken, Goldberg and Ravfogel: BitFit: simple parameter-efficient fine-tuning for transformer-based masked
    language-models. ACL 2022.
    """

    lr: float = tunable(1e-3, low=1e-4, high=1e-2, log=True, gt=0)

    def check(self, offer: Offer) -> None:
        """Refuse an encoder without biases."""
        if not any(name.endswith(".bias") for name, _ in offer.encoder.named_parameters()):
            raise ConfigurationError(
                "bitfit tunes biases, and this backbone has none; choose another backbone, or the adapter 'norm_only'."
            )

    def trained(self, model: CellClassifier) -> set[str]:
        """Every bias before the head, and every parameter of the head."""
        names = [name for name, _ in model.named_parameters()]
        return {name for name in names if name.endswith(".bias") or name.startswith("head.")}
