"""Logistic regression on the features of a pretrained backbone, without any source."""

from typing import ClassVar

import torch

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Adapter, Effect, Need, Offer, Start, TargetView
from cellda.adapters.families.embeddings import regression
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable


@register("probe")
class Probe(Adapter):
    """Fit a logistic regression on the features of the pretrained backbone, without any source (a linear probe).

    Features are the outputs of the encoder, standardised by the support's mean and standard deviation. The embedding becomes
    their projection onto the principal components of the support, as many as an embedding is long; the head is the regression
    `C sum_i -log softmax(W z_i + b)_{y_i} + ||W||^2 / 2` on these. If the support has no more images than an embedding is
    long, this equals the regression on all features, whose weights lie in the span of the support. No encoder weight is
    trained.

    Foundation encoders are mostly judged this way (M. Oquab et al.: DINOv2, TMLR 2024; V. Koch et al.: DinoBloom, MICCAI
    2024), and source training must beat it. Adapters that work on embeddings may follow it in a chain. Classes without support
    are never predicted.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.ENCODER, Effect.NEW_HEAD})
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS})
    start: ClassVar[Start] = Start.PRETRAINED

    C: float = tunable(0.1, low=1e-4, high=1e1, log=True, gt=0)

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Put projection and regression into `model`."""
        from sklearn.decomposition import PCA  # heavy, and recipes import this module
        from sklearn.preprocessing import StandardScaler

        width, embedding = model.embedding.in_features, model.embedding
        model.embedding = torch.nn.Identity()  # type: ignore[assignment]
        features = context.trainer.embeddings(model, target.support).double().numpy()
        scaler = StandardScaler().fit(features)
        scaled = scaler.transform(features)
        parts = PCA(min(embedding.out_features, width, len(features) - 1)).fit(scaled).components_
        weights = torch.zeros(embedding.out_features, width, dtype=torch.float64)
        weights[: len(parts)] = torch.from_numpy(parts / scaler.scale_)
        with torch.no_grad():
            embedding.weight.copy_(weights)
            embedding.bias.copy_(-weights @ torch.from_numpy(scaler.mean_))
        model.embedding = embedding
        head = regression(
            torch.from_numpy(scaled) @ torch.from_numpy(parts).T,
            target.support.labels,
            self.C,
            width=embedding.out_features,
            classes=len(model.classes),
        )
        model.head = head.to(model.mean.device)
        return model

    def image_passes(self, offer: Offer) -> int:
        """Every labelled image is embedded once."""
        return offer.labelled
