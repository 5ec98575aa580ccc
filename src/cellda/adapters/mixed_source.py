"""Fine-tuning on target and source images together."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Need, Offer, TargetView
from cellda.adapters.full import Full
from cellda.errors import ConfigurationError
from cellda.plugins.settings import tunable

if TYPE_CHECKING:
    from cellda.data.image_set import ImageSet
    from cellda.models.classifier import CellClassifier


@register("mixed_source")
class MixedSource(Full):
    """Fine-tune all weights on the support images together with as many source images (ablation 4).

    The paper's "mixed sources". `source_images` are drawn once, in equal parts from every class of every source, and
    shuffled among the support images; both keep their own normalizer. An epoch is about twice as long as that of `full`, so
    half as many are made: both train for as many steps.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.SOURCE})

    epochs: int = tunable(8, low=3, high=30, ge=1)
    source_images: int = Field(
        100, ge=1, description="Source images in all, balanced over sources and classes."
    )

    def adapt(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Train every weight of `model` on the support images and the drawn source images."""
        from cellda.training.examples import ImageExamples

        examples = ImageExamples(target.support, *self.drawn(context), stain_jitter=self.stain_jitter)
        settings = self.for_images(len(examples))
        context.trainer.fit(model, examples, settings, seed=context.seed, title=f"adapting ({self.name})")
        return model

    def check(self, offer: Offer) -> None:
        """Refuse to draw more source images than there are."""
        self._check(offer.source)

    def _check(self, source_images: int) -> None:
        if source_images < self.source_images:
            raise ConfigurationError(
                f"{self.name} wants source_images={self.source_images}, but the sources hold {source_images}; "
                f"set adapter.source_images to at most {source_images}."
            )

    def image_passes(self, offer: Offer) -> int:
        """Every epoch sends every support and every drawn source image through the backbone."""
        images = offer.labelled + self.source_images
        return self.for_images(images).epochs * images

    def drawn(self, context: AdaptContext) -> "list[ImageSet]":
        """The drawn images of every source of which some are drawn."""
        rows = self._draw(context)
        sets = [source.subset(chosen) for source, chosen in zip(context.source, rows, strict=True)]
        return [part for part in sets if len(part)]

    def _draw(self, context: AdaptContext) -> list[list[int]]:
        """Positions in each source: one image of each (source, class) cell in turn, until there are enough."""
        from torch import Generator, randperm, unique

        self._check(sum(len(source) for source in context.source))
        generator = Generator().manual_seed(context.seed)
        piles: list[tuple[int, list[int]]] = []
        for index, source in enumerate(context.source):
            order = randperm(len(source), generator=generator)
            labels = source.labels[order]
            piles += [(index, order[labels == label].tolist()) for label in unique(labels)]
        chosen: list[list[int]] = [[] for _ in context.source]
        left = self.source_images
        while left:
            for index, pile in piles:
                if pile and left:
                    chosen[index].append(pile.pop())
                    left -= 1
        return chosen
