"""The paper's head."""

from jaxtyping import Float
from torch import Tensor, nn

from cellda.models.heads import register
from cellda.models.heads.base import Head

HIDDEN = 512


@register("mlp")
class Mlp(Head, nn.Sequential):
    """BatchNorm, Dropout 0.25, Linear 512, ReLU, BatchNorm, Dropout 0.5, Linear (Fig. 5 of the paper)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__(width, classes)
        self.extend(
            [
                nn.BatchNorm1d(width),
                nn.Dropout(0.25),
                nn.Linear(width, HIDDEN),
                nn.ReLU(),
                nn.BatchNorm1d(HIDDEN),
                nn.Dropout(0.5),
                nn.Linear(HIDDEN, classes),
            ]
        )

    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`."""
        for layer in self:
            embeddings = layer(embeddings)
        return embeddings
