"""Fine-tuning on target and source images together."""

from cellda.adapters import register
from cellda.adapters.families.source_images import SourceImages
from cellda.plugins.settings import tunable


@register("mixed_source")
class MixedSource(SourceImages):
    """Fine-tune all weights on the support images together with drawn source images (ablation 4).

    The paper's "mixed sources". `source_images` are drawn once, in equal parts from every class of every source, and
    shuffled among the support images; both keep their own normalizer. An epoch is about twice as long as one of `full`, so
    there are half as many: both train for the same number of steps.
    """

    epochs: int = tunable(8, low=3, high=30, ge=1)
