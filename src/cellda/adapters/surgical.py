"""Fine-tuning of one block."""

from typing import Literal

from cellda.adapters import register
from cellda.adapters.base import Offer
from cellda.adapters.families.partial import Partial
from cellda.errors import ConfigurationError
from cellda.models.blocks import block_ends, block_parameters
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable


@register("surgical")
class Surgical(Partial):
    """Fine-tune one block of the encoder, or the embedding, and freeze all other weights (Lee et al. 2023).

    Only the weights `w_b` of one block are tuned, `min_{w_b} L(w_b, w_rest)`. With few images this generalises better than
    tuning all weights if the block matches the shift: the first block for a shift of the input (stain, microscope), the middle
    for one of features, the last or the embedding for one of labels. The default was chosen on support labels:
    cross-validated, the last block was far ahead on cells of four microscopes (benchmarks/DECISIONS.md). Blocks are those that
    timm lists (`feature_info`): the stem belongs to the first, unless it is listed itself, as in a ResNet; a final convolution
    or norm belongs to the last.

    Lee, Chen, Tajwar, Kumar, Yao, Liang and Finn: Surgical fine-tuning improves adaptation to distribution shifts. ICLR 2023.
    """

    block: Literal["first", "middle", "last", "embedding"] = tunable(
        "last", choices=("first", "middle", "last", "embedding")
    )

    def check(self, offer: Offer) -> None:
        """Refuse an encoder with too few blocks to choose from."""
        blocks = len(block_ends(offer.encoder))
        if self.block != "embedding" and blocks < 3:
            raise ConfigurationError(
                f"surgical tunes the first, middle or last of at least three blocks, but this backbone has {blocks}; set "
                "adapter.block='embedding', or use the adapter 'full'."
            )

    @property
    def makes_head(self) -> bool:
        """False: most of the head's weights stay."""
        return False

    def trained(self, model: CellClassifier) -> set[str]:
        """Every parameter of the chosen block."""
        if self.block == "embedding":
            return {f"embedding.{name}" for name, _ in model.embedding.named_parameters()}
        blocks = block_parameters(model.encoder)
        chosen = {"first": 0, "middle": len(blocks) // 2, "last": -1}[self.block]
        return {f"encoder.{name}" for name in blocks[chosen]}
