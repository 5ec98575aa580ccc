"""Information maximisation and pseudo-labels behind a frozen head."""

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Adapter, Effect, Need, Offer, TargetView
from cellda.adapters.families.entropy import OfLogits, conditional_entropy, marginal_entropy
from cellda.adapters.families.pool import Pooled
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.runtime.work import Stage, Work
from cellda.training.batches import Mix
from cellda.training.examples import ImageExamples
from cellda.training.objective import cross_entropy
from cellda.training.settings import Training


@register("shot")
class Shot(Training, Pooled, Adapter):
    """Train the encoder for confident predictions of the frozen head, with pseudo-labels (SHOT, Liang et al. 2020).

    Minimises `H(Y|X) - marginal H(Y) + pseudo CE(pseudo-labels)` over encoder and embedding: every prediction should be
    confident, all classes should be predicted, and cells near a class's centroid should get that class. In each of `rounds`,
    centroids are the means of all embeddings, weighted by the head's probabilities; each cell takes the class of the nearest
    centroid (by cosine), then centroids and classes are computed once more. A class that no cell is predicted as, or that
    loses all its cells, has no centroid. J. Liang, D. Hu, J. Feng: Do we really need to access the source data? ICML 2020.

    Both entropies of the paper are Shannon's (`order = 1`), which favours equal class shares. Blood does not have equal
    shares, so by default both have order 2, which gains less from rare classes (`cellda.adapters.families.entropy`).
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.ENCODER})
    needs: ClassVar[frozenset[Need]] = frozenset({Need.UNLABELLED})

    rounds: int = Field(default=2, ge=1, description="How many times pseudo-labels are computed.")
    epochs: int = Field(default=2, ge=1, description="Epochs in each round.")
    images: int = Field(default=400, ge=2, description="Maximum number of pool images in an epoch.")
    pool_images: int = Field(default=600, ge=2, description="Maximum number of pool images used; drawn once.")
    batch_size: int = tunable(32, choices=(16, 32, 64), ge=2)
    lr: float = tunable(3e-4, low=3e-5, high=1e-3, log=True, gt=0)
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = Field(default=0.01, ge=0)
    one_cycle: bool = True
    bn: Literal["train", "frozen"] = "frozen"
    pseudo: float = tunable(0.3, low=0.0, high=1.0, ge=0)
    marginal: float = tunable(1.0, low=0.1, high=1.0, ge=0)
    order: float = tunable(2.0, choices=(1.0, 2.0, 4.0), gt=0)

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Train everything before the head on pseudo-labels, recomputed in every round."""
        pool, trainer = self.part(target.pool, context.seed), context.trainer
        model.head.requires_grad_(False)
        for number in range(self.rounds):
            embeddings = trainer.embeddings(model, pool)
            labels = pseudo_labels(embeddings, trainer.apply(model.head, embeddings).softmax(1))
            trainer.fit(
                model,
                ImageExamples(replace(pool, known_labels=labels)),
                self,
                seed=context.seed * self.rounds + number,
                work=Work(Stage.ADAPT, self.name),
                order=Mix((len(pool),), per_epoch=min(len(pool), self.images)),
                objective=OfLogits(self.loss, head_in_use=True),
            )
        return model

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss, from the logits `(B, classes)` and pseudo-labels `(B,)` of a batch."""
        information = self.marginal * marginal_entropy(logits, self.order) - conditional_entropy(
            logits, self.order
        )
        return self.pseudo * cross_entropy(logits, labels, self.label_smoothing) - information

    def image_passes(self, offer: Offer) -> int:
        """In every round, each image once for the pseudo-labels, plus the epochs."""
        pool = self.part_size(offer)
        return self.rounds * (pool + self.epochs * min(pool, self.images))


def pseudo_labels(embeddings: Tensor, probabilities: Tensor) -> Tensor:
    """Class indices `(N,)` of the nearest centroids, from embeddings `(N, D)` and the head's probabilities `(N, classes)`."""
    rows, weights = normalize(embeddings, dim=1), probabilities
    present = one_hot(probabilities.argmax(1), probabilities.shape[1]).any(0)
    labels = probabilities.argmax(1)
    for _ in range(2):
        present &= weights.sum(0) > 0
        nearness = rows @ normalize(weights.T @ rows, dim=1).T
        labels = nearness.masked_fill(~present, -2.0).argmax(1)
        weights = one_hot(labels, probabilities.shape[1]).to(rows)
    return labels
