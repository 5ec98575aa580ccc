"""Confident pseudo-labels of weak views, learned on strong views."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, TargetView
from cellda.adapters.families.mixing import Mixing
from cellda.adapters.families.ramps import ramp_up
from cellda.adapters.families.two_views import Views, split
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.training.examples import ImageExamples
from cellda.training.modes import evaluating
from cellda.training.objective import CrossEntropy, Objective, Step

MEMORY = 0.98
"""Share of its old value that the running mean of predictions keeps at each step."""


@register("fixmatch")
class FixMatch(Mixing):
    """Train strong views of the pool on confident pseudo-labels from weak views (Sohn et al. 2020).

    `L = CE(support) + weight r(t) mean_u [max q_u >= threshold] CE(strong view of u, argmax q_u)`, where `q` are the
    probabilities of the weak view, predicted without dropout and then aligned (Berthelot et al. 2020):
    `q ~ p (s / m)^alignment`, where `m` is the running mean of `p` over the pool and `s` the class shares of the support.
    `alignment=1` is ReMixMatch, `alignment=0` is FixMatch without alignment. A support is drawn balanced but cells are not, so
    full alignment turns neutrophils into basophils; the default gives rarely predicted classes a little more weight, so that
    they do not vanish. If it is above 0, a class without support is never a pseudo-label. With `label_smoothing` 0.1, a
    perfectly fitted probability for six classes is 0.92, so the paper's threshold of 0.95 would accept almost nothing. `r(t)`
    rises over the first steps (`ramps.ramp_up`), because a source model is also confident on cells it gets wrong; the paper
    has no ramp.
    """

    examples: ClassVar[type[ImageExamples]] = Views
    passes: ClassVar[int] = 3

    threshold: float = tunable(0.8, low=0.6, high=0.95, gt=0, lt=1)
    weight: float = tunable(1.0, low=0.3, high=3.0, log=True, ge=0)
    alignment: float = tunable(0.25, low=0.0, high=1.0, ge=0, le=1)

    def objective(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> Objective:
        """Cross-entropy of the support and of confident pseudo-labels of the pool."""
        counts = torch.bincount(target.support.labels, minlength=len(model.classes)).to(
            context.trainer.device
        )
        return PseudoLabels(self, counts / counts.sum())


class PseudoLabels(CrossEntropy):
    """The loss of `FixMatch`; `shares` `(classes,)` are the class shares of the support."""

    def __init__(self, settings: FixMatch, shares: Float[Tensor, " c"]) -> None:
        super().__init__(settings.label_smoothing)
        self.settings, self.shares = settings, shares
        self.mean = shares.clone()

    def aligned(self, found: Float[Tensor, "u c"]) -> Float[Tensor, "u c"]:
        """Update the running mean with these probabilities, and return them aligned."""
        self.mean = MEMORY * self.mean + (1 - MEMORY) * found.mean(0)
        # A class without support that the head rules out has neither share nor mean.
        changed = found * (self.shares / self.mean.clamp_min(1e-12)) ** self.settings.alignment
        return changed / changed.sum(1, keepdim=True)

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """Cross-entropy of the labelled weak views and of the strong views with a confident pseudo-label."""
        labelled, weak, strong = split(step)
        with evaluating(module):
            confidence, pseudo = self.aligned(module(weak).softmax(1)).max(1)
        logits = module(torch.cat([labelled, strong]))
        supervised = self.of(logits[: len(labelled)], step.labels[step.of(0)])
        losses = F.cross_entropy(logits[len(labelled) :], pseudo, reduction="none")
        confident = (losses * (confidence >= self.settings.threshold)).mean()
        return supervised + self.settings.weight * ramp_up(step.progress) * confident
