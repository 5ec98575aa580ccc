"""Training on the cells of the pool that all views agree on."""

import warnings
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Effect, Need, Offer, TargetView
from cellda.adapters.families.agreement import FURTHER, AgreedPool, agreed
from cellda.adapters.families.averaging import averaged
from cellda.adapters.families.entropy import OfLogits
from cellda.models.blocks import block_parameters
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.runtime.work import Stage, Work
from cellda.training.batches import REPEATS, Mix
from cellda.training.examples import ImageExamples
from cellda.training.loop import to_device
from cellda.training.objective import cross_entropy
from cellda.training.settings import Training

NOTHING = """self_training, round {}: on no cell do all views agree with a mean probability of at least {}, so there is \
nothing to train on; label a few cells, or lower adapter.threshold."""


@register("self_training")
class SelfTraining(Training, AgreedPool):
    """Train on confident cells of the pool that all views agree on, with class quotas (CBST, Zou et al. 2018).

    In each of `rounds`, the model predicts the pool. Its `candidates` most confident cells become candidates, the predicted
    classes in turn, and of each class at most half of its cells, so that no class takes over. Candidates are predicted in
    eight flips and rotations and two magnifications; those with the same class in all views and a mean probability of at
    least `threshold` are trained on, by cross-entropy and with the augmentation of `full`. All BatchNorms, those of the head
    too, keep the source model's statistics. In the end, each weight is averaged with that which the model began with, which
    has `source_share` of the sum: classes of which few cells are agreed on may be forgotten, and are then forgotten less.

    Y. Zou, Z. Yu, B. Vijaya Kumar, J. Wang: Unsupervised domain adaptation for semantic segmentation via class-balanced
    self-training, ECCV 2018, which also ends at half of each class; agreement of views as in G. French, M. Mackiewicz, M.
    Fisher: Self-ensembling for visual domain adaptation, ICLR 2018; averaged weights as in M. Wortsman et al.: Robust
    fine-tuning of zero-shot models, CVPR 2022. `block="first"` trains the stem and the first block alone, as in `surgical` for
    a shift of the input. The threshold is that of `fixmatch`. If no candidate passes, the model stays as it is, and says so.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.ENCODER, Effect.HEAD})
    needs: ClassVar[frozenset[Need]] = frozenset({Need.UNLABELLED})

    rounds: int = Field(default=2, ge=1, description="How many times cells are chosen.")
    epochs: int = Field(default=3, ge=1, description="Epochs in each round.")
    source_share: float = tunable(0.5, low=0.0, high=0.8, ge=0, lt=1)
    block: Literal["all", "first"] = tunable("all", choices=("all", "first"))
    threshold: float = tunable(0.8, low=0.5, high=0.95, ge=0, lt=1)
    lr: float = tunable(3e-4, low=3e-5, high=6e-4, log=True, gt=0)
    batch_size: int = tunable(8, choices=(4, 8, 16), ge=2)
    stain_jitter: float = tunable(1.0, choices=(0.0, 0.5, 1.0, 2.0), ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = Field(default=0.01, ge=0)
    one_cycle: bool = True
    bn: Literal["frozen"] = "frozen"

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Train on what all views agree on, chosen anew in every round."""
        to_device(model, context.trainer.device)
        pool, before = self.part(target.pool, context.seed), deepcopy(model)
        if self.block == "first":
            first = {f"encoder.{name}" for name in block_parameters(model.encoder)[0]}
            for name, weight in model.named_parameters():
                weight.requires_grad_(name in first)
        candidates = self.looked_at(len(pool))
        loss = partial(cross_entropy, label_smoothing=self.label_smoothing)
        for number in range(self.rounds):
            rows, labels = agreed(context.trainer, model, pool, candidates, self.threshold)
            if not len(rows):
                warnings.warn(NOTHING.format(number + 1, self.threshold), stacklevel=2)
                break
            chosen = replace(pool.subset(rows), known_labels=labels)
            context.trainer.fit(
                model,
                ImageExamples(chosen, stain_jitter=self.stain_jitter),
                self,
                seed=context.seed * self.rounds + number,
                work=Work(Stage.ADAPT, self.name),
                order=Mix((len(rows),), per_epoch=min(candidates, REPEATS * len(rows))),
                objective=OfLogits(loss, head_in_use=True),
            )
        return averaged(model, before, self.source_share)

    def image_passes(self, offer: Offer) -> int:
        """In every round the pool once, each candidate in its further views, and as many images in every epoch."""
        pool = self.part_size(offer)
        return self.rounds * (pool + (FURTHER + self.epochs) * self.looked_at(pool))
