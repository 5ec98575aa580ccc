"""Training the head on frozen embeddings."""

from cellda.adapters import register
from cellda.adapters.base import AdaptContext
from cellda.adapters.families.embeddings import Features, HeadTraining
from cellda.models.heads.base import Head
from cellda.plugins.settings import tunable
from cellda.runtime.work import Stage, Work
from cellda.training.examples import FeatureExamples


@register("head_only")
class HeadOnly(HeadTraining):
    """Train only the head; encoder and embedding stay frozen (ablation 3).

    The embeddings of the support images are computed once, so an epoch costs almost nothing, and images are not
    augmented. The encoder is in evaluation mode throughout.
    """

    epochs: int = tunable(50, low=20, high=200, ge=1)
    batch_size: int = tunable(16, choices=(8, 16, 32), ge=2)

    def fit_head(self, head: Head, features: Features, context: AdaptContext) -> Head:
        """Train `head` on the embeddings of the support images."""
        examples = FeatureExamples(features.support, features.labels)
        context.trainer.fit(head, examples, self, seed=context.seed, work=Work(Stage.ADAPT, self.name))
        return head
