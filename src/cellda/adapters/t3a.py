"""The last layer's weights, moved towards confidently classified embeddings."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Effect, Need
from cellda.adapters.families.embeddings import Features
from cellda.adapters.families.pool import PooledFeatures
from cellda.errors import ConfigurationError
from cellda.models.heads.base import ABSENT, Head, absent
from cellda.plugins.settings import tunable


@register("t3a")
class T3A(PooledFeatures):
    """Build class prototypes from the last layer's weights and confident pool cells (T3A, Iwasawa & Matsuo 2021).

    `logit_k = z . c_k`, where `c_k` is the direction of the mean of a set of unit vectors: the last layer's weights
    `w_k / |w_k|`, and `z / |z|` of every pool image that the head assigns to class `k`. Each set keeps the `keep` members
    whose prediction has the lowest entropy. `z` is the input of the head's last linear layer, so the result is the same head
    with new weights in that layer; prototypes are scaled to the mean length of the old weights, which changes no decision.
    Y. Iwasawa, Y. Matsuo: Test-time classifier adjustment module for model-agnostic domain generalization, NeurIPS 2021,
    where it runs online.

    A class without assigned images keeps the direction of its weights; no class frequencies are assumed. A class that the head
    rules out (zero weights, as `ncm` gives classes without support) stays ruled out.
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
        if not torch.equal(logits, read[-1].masked_fill(absent(logits), ABSENT)):
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
    """Unit prototypes `(classes, F)` from a linear layer, its inputs `(N, F)` and its logits `(N, classes)`."""
    members = normalize(torch.cat([weight, read]), dim=1)
    labels = torch.cat([torch.arange(len(weight)), logits.argmax(1)])
    own = (weight @ weight.T + bias).masked_fill(absent(logits), ABSENT)
    log = torch.cat([own, logits]).log_softmax(1)
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
