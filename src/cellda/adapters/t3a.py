"""The last layer's weights, moved towards embeddings that it is certain of."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Effect, Need
from cellda.adapters.families.embeddings import Features
from cellda.adapters.families.pool import PooledFeatures
from cellda.errors import ConfigurationError
from cellda.models.heads.base import Head
from cellda.plugins.settings import tunable


@register("t3a")
class T3A(PooledFeatures):
    """Class prototypes from the last layer's weights and the cells it is most certain of (T3A, Iwasawa & Matsuo 2021).

    `logit_k = z . c_k`, where `c_k` is the direction of the mean of a set of unit vectors: the last layer's weights
    `w_k / |w_k|`, and `z / |z|` of every image of the pool that the head takes for class `k`. Of each set the `keep` members
    stay whose prediction has the least entropy. `z` is what the head's last linear layer reads, so that the result is the same
    head with other weights there; prototypes have the mean length of the weights before, which changes no decision. Y.
    Iwasawa, Y. Matsuo: Test-time classifier adjustment module for model-agnostic domain generalization, NeurIPS 2021, there
    online.

    A class that no image is taken for keeps its weights' direction; how often the classes occur is not assumed. A class that
    the head rules out (weights of zero, as `ncm` gives those without support) stays ruled out.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.HEAD})
    needs: ClassVar[frozenset[Need]] = frozenset({Need.UNLABELLED})

    keep: int = tunable(20, choices=(1, 5, 20, 50, 100, 1000), ge=1)

    def fit_head(self, head: Head, features: Features, context: AdaptContext) -> Head:
        """Put the prototypes into the last linear layer of `head`.

        Raises:
            ConfigurationError: If the head does not end in a linear layer.
        """
        read: list[Tensor] = []
        last = _last_linear(head)
        hook = last.register_forward_hook(lambda _, given, made: read.extend((given[0].cpu(), made.cpu())))
        with hook:
            logits = context.trainer.apply(head, features.pool)
        if not torch.equal(logits, read[-1]):
            raise _not_linear(head)
        with torch.no_grad():
            weight = last.weight.cpu()
            bias = torch.zeros(len(weight)) if last.bias is None else last.bias.cpu()
            found = prototypes(weight, bias, read[0], logits, self.keep)
            last.weight.copy_(found * weight.norm(dim=1).mean())
            if last.bias is not None:
                last.bias.masked_fill_(weight.any(1).to(last.bias.device), 0)
        return head


def prototypes(weight: Tensor, bias: Tensor, read: Tensor, logits: Tensor, keep: int) -> Tensor:
    """Unit prototypes `(classes, F)` from a linear layer, what it read `(N, F)` and the logits it made `(N, classes)`."""
    members = normalize(torch.cat([weight, read]), dim=1)
    labels = torch.cat([torch.arange(len(weight)), logits.argmax(1)])
    log = torch.cat([weight @ weight.T + bias, logits]).log_softmax(1)
    entropies = -(log.exp() * log).sum(1)
    order = entropies.argsort(stable=True)
    kept = [order[labels[order] == label][:keep] for label in range(len(weight))]
    return normalize(torch.stack([members[chosen].sum(0) for chosen in kept]), dim=1)


def _last_linear(head: Head) -> nn.Linear:
    layers = [
        part for part in head.modules() if isinstance(part, nn.Linear) and part.out_features == head.classes
    ]
    if not layers:
        raise _not_linear(head)
    return layers[-1]


def _not_linear(head: Head) -> ConfigurationError:
    return ConfigurationError(
        f"t3a adapts the weights of a head's last linear layer, and the head '{head.name}' does not end in one; put t3a "
        "before the adapter that made this head, or leave it out."
    )
