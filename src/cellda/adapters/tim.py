"""The head trained on the support's labels and on mutual information over the pool."""

from typing import ClassVar

import torch
from torch import Tensor

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Need
from cellda.adapters.families.embeddings import Features, HeadTraining
from cellda.adapters.families.entropy import OfLogits, conditional_entropy, marginal_entropy
from cellda.adapters.families.pool import PooledFeatures
from cellda.errors import ConfigurationError
from cellda.models.heads.base import Head
from cellda.plugins.settings import tunable
from cellda.runtime.work import Stage, Work
from cellda.taxonomies.base import UNLABELLED
from cellda.training.batches import REPEATS, Mix
from cellda.training.examples import FeatureExamples
from cellda.training.objective import cross_entropy


@register("tim")
class TIM(PooledFeatures, HeadTraining):
    """Train the head on the labels and to maximise mutual information over the pool (TIM-GD, Boudiaf et al. 2020).

    Minimises `CE(support) - marginal H(Y) + conditional H(Y|X)` by gradient descent, with both entropies over the pool:
    labelled cells should be predicted as labelled, every other prediction should be confident, and all classes should be
    predicted. Embeddings are computed once. M. Boudiaf, I. Ziko, J. Rony, J. Dolz, P. Piantanida, I. Ben Ayed: Transductive
    information maximization for few-shot learning, NeurIPS 2020. The paper's head is a nearest-prototype one; here it is the
    model's own, so a class without support keeps what was learned from the source.

    The paper's `H(Y)` is Shannon's (`order = 1`, `marginal = 10`), which favours equal class shares. By default it has order
    2, as in Veilleux et al. (NeurIPS 2021), and the same weight as the other terms, which suits unequal shares better. They
    use that order for `H(Y|X)` and the cross-entropy too; here the labels keep classes from vanishing, and both remain
    Shannon's.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.UNLABELLED})

    epochs: int = tunable(50, low=20, high=200, ge=1)
    batch_size: int = tunable(128, choices=(64, 128, 256), ge=2)
    marginal: float = tunable(1.0, low=0.1, high=10.0, log=True, ge=0)
    conditional: float = tunable(1.0, low=0.1, high=1.0, ge=0)
    order: float = tunable(2.0, choices=(1.0, 2.0, 4.0), gt=0)

    def fit_head(self, head: Head, features: Features, context: AdaptContext) -> Head:
        """Train `head`.

        Raises:
            ConfigurationError: If it has no weights.
        """
        if not list(head.parameters()):
            raise ConfigurationError(
                f"tim trains the weights of a head, and the head '{head.name}' has none; put tim before the adapter that made "
                "it, or leave it out."
            )
        lengths = len(features.support), len(features.pool)
        labels = torch.cat([features.labels, torch.full((lengths[1],), UNLABELLED)])
        context.trainer.fit(
            head,
            FeatureExamples(torch.cat([features.support, features.pool]), labels),
            self,
            seed=context.seed,
            work=Work(Stage.ADAPT, self.name),
            order=Mix(lengths, per_epoch=min(max(lengths), REPEATS * min(lengths))),
            objective=OfLogits(self.loss),
        )
        return head

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss, from the logits `(B, classes)` and labels `(B,)` of support and pool together."""
        known, pool = labels != UNLABELLED, logits[labels == UNLABELLED]
        information = self.marginal * marginal_entropy(
            pool, self.order
        ) - self.conditional * conditional_entropy(pool)
        return cross_entropy(logits[known], labels[known], self.label_smoothing) - information
