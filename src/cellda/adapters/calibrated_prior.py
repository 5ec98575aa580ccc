"""Probabilities calibrated on source cells, then corrected for the class shares of the target."""

from functools import partial
from typing import ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Adapter, Effect, Need, Offer, TargetView
from cellda.adapters.families.calibration import calibrated
from cellda.adapters.families.class_shares import estimate
from cellda.adapters.families.pool import Pooled
from cellda.adapters.families.source_images import balanced
from cellda.data.image_set import ImageSet
from cellda.imaging.augment import random_strong
from cellda.models.classifier import CellClassifier
from cellda.models.heads.base import absent
from cellda.models.heads.prior import Prior
from cellda.models.heads.tempered import Tempered
from cellda.plugins.settings import tunable
from cellda.runtime.work import Stage, Work


@register("calibrated_prior")
class CalibratedPrior(Pooled, Adapter):
    """Calibrate on source cells, then estimate the class shares of the pool (Alexandari et al. 2020).

    Bias-corrected temperature scaling: `softmax(logits / T + b)`, with `T` and `b` that minimise the cross-entropy of source
    cells, balanced over sources and classes: those held out from training or, if there are none, any. Class shares are then
    estimated as in `prior_correction`, from the shares of those cells, which are known: no `trained_on` is needed. A.
    Alexandari, A. Kundaje, A. Shrikumar: Maximum likelihood with bias-corrected calibration is hard-to-beat at label shift
    adaptation, ICML 2020, which uses `smoothing = 0`; temperature scaling by C. Guo, G. Pleiss, Y. Sun, K. Weinberger: On
    calibration of modern neural networks, ICML 2017.

    A model is more overconfident on another laboratory's images than on those that it is calibrated on. They are therefore
    shown in strong views (`augment.random_strong`: stain and light varied, zoomed, partly covered), as C. Tomani et al.:
    Post-hoc uncertainty calibration for domain drift scenarios, CVPR 2021, calibrate on perturbed images. A class without
    source cells is left as it is, apart from the temperature. With source models of five laboratories it changed accuracy by
    0.00, 0.02, -0.01 and 0.00 on four targets (benchmarks/results/without_labels).
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.MEMORY})
    needs: ClassVar[frozenset[Need]] = frozenset({Need.UNLABELLED, Need.SOURCE})

    smoothing: float = tunable(0.5, choices=(0.0, 0.1, 0.5, 2.0), ge=0)
    source_images: int = Field(default=600, ge=1, description="Maximum number of views of source images.")

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Put a `calibrated` head around that of `model`."""
        trainer, head, sources = context.trainer, model.head, self.cells(context)
        generator = Generator().manual_seed(context.seed)
        strong = [
            trainer.map(model, images, partial(_in_strong_view, images, generator), Work(Stage.EMBED))
            for images in sources
        ]
        logits = trainer.apply(head, torch.cat(strong)).double()
        labels = torch.cat([images.labels for images in sources])
        counts = labels.bincount(minlength=logits.shape[1]).double()
        known = (counts > 0) & ~absent(logits)
        temperature, bias = calibrated(logits, labels, known)
        pool = trainer.apply(head, trainer.embeddings(model, self.part(target.pool, context.seed))).double()
        before = counts[known] / counts[known].sum()
        found = estimate((pool / temperature + bias).softmax(1)[:, known], before, self.smoothing)
        ratio = bias.exp()
        ratio[known] *= found / before
        model.head = Prior.around(Tempered.around(head, temperature), ratio).to(model.mean.device)
        return model

    def cells(self, context: AdaptContext) -> list[ImageSet]:
        """The source cells to calibrate on, which come again, in other views, where fewer are held out than wanted."""
        wanted = min(self.source_images, sum(map(len, context.source)))
        found: list[ImageSet] = []
        while left := wanted - sum(map(len, found)):
            found += balanced(context.held_out or context.source, left, context.seed)
        return found

    def image_passes(self, offer: Offer) -> int:
        """The source images and every pool image used are embedded once."""
        return min(offer.source, self.source_images) + self.part_size(offer)


def _in_strong_view(images: ImageSet, generator: Generator, model: CellClassifier, pixels: Tensor) -> Tensor:
    """Embeddings of raw images of a source, which keeps its own normalizer, in strong views."""
    device = model.mean.device
    plain = images.normalizer.to(device)(pixels.to(device, torch.float32) / 255)
    return model.embed(random_strong(plain, generator)).float()
