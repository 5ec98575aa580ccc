"""Linear probing, then fine-tuning."""

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Offer, TargetView
from cellda.adapters.families.fine_tuning import FineTuning
from cellda.models.blocks import block_parameters
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.runtime.work import Stage, Work
from cellda.training.examples import FeatureExamples
from cellda.training.objective import CrossEntropy
from cellda.training.settings import Training

PROBE_BATCH = 16
"""Images per step while only the head is trained, as in `head_only`."""


@register("lp_ft")
class LpFt(FineTuning):
    """Train the head on frozen embeddings, then all weights with lower rates in early blocks (Kumar et al. 2022).

    First `min_v L(v, w0)` over the head `v` alone, as in `head_only`; then `min_{v,w} L(v, w)` over all weights. Starting from
    a fitted head distorts the encoder's features less than tuning both at once. In the second step, a block of the encoder
    with `d` blocks above it has the learning rate `lr decay^d`; head and embedding have `lr` (discriminative fine-tuning,
    Howard and Ruder 2018; `decay=1` is the paper's single rate).

    Kumar, Raghunathan, Jones, Ma and Liang: Fine-tuning can distort pretrained features and underperform out-of-distribution.
    ICLR 2022.
    """

    probe_epochs: int = tunable(50, low=20, high=200, ge=1)
    probe_lr: float = tunable(1e-3, low=1e-4, high=1e-2, log=True, gt=0)
    decay: float = tunable(0.8, choices=(0.4, 0.6, 0.8, 1.0), gt=0, le=1)

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Train the head of `model`, then every weight, on the support images."""
        probe = Training(
            epochs=self.probe_epochs,
            batch_size=PROBE_BATCH,
            lr=self.probe_lr,
            bn="frozen",
            **self.model_dump(include={"optimizer", "weight_decay", "label_smoothing", "one_cycle"}),
        )
        embeddings = context.trainer.embeddings(model, target.support)
        examples = FeatureExamples(embeddings, target.support.labels)
        work = Work(Stage.PROBE, self.name)
        context.trainer.fit(model.head, examples, probe, seed=context.seed, work=work)
        blocks = block_parameters(model.encoder)
        rates = {
            f"encoder.{name}": self.decay**depth
            for depth, names in enumerate(reversed(blocks))
            for name in names
        }
        self.fine_tune(model, target, context, CrossEntropy(self.label_smoothing, rates))
        return model

    def image_passes(self, offer: Offer) -> int:
        """The support is embedded once for the probe, and then passes once per epoch."""
        return offer.labelled + super().image_passes(offer)
