"""Full fine-tuning: the paper's proposed workflow."""

from cellda.adapters import register
from cellda.adapters.families.fine_tuning import FineTuning


@register("full")
class Full(FineTuning):
    """Fine-tune all weights on the labelled support images (the paper's proposed workflow).

    Section "Fine-tuning strategy" of the paper. The authors' only published example trains 50 epochs at 7e-5 with moving
    BatchNorm statistics; here the encoder's statistics are frozen by default, because batches of a few cells estimate them
    poorly (`bn="train"` is the paper's way). A support set of 20 images would get too few optimizer steps in `epochs`
    epochs, so epochs are added until there are `min_steps`; if only `epochs` is given, exactly that many are run. Images are
    randomly flipped and rotated, and `stain_jitter` varies their stain slightly (`cellda.imaging.augment`); the paper does
    not vary the stain, and whether it helps is open (benchmarks/DECISIONS.md).
    """
