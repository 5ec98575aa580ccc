"""Full fine-tuning: the paper's proposed workflow."""

from cellda.adapters import register
from cellda.adapters.families.fine_tuning import FineTuning


@register("full")
class Full(FineTuning):
    """Fine-tune all weights on the labelled support images (the paper's proposed workflow).

    Section "Fine-tuning strategy" of the paper. Its authors' one published example trains 50 epochs at 7e-5 with BatchNorm
    statistics moving; here the encoder's statistics stay frozen by default, because batches of a few cells estimate them
    badly (`bn="train"` is the paper's way). A support set of 20 images would get too few optimizer steps in `epochs`
    epochs, so epochs are added until there are `min_steps`; given `epochs` alone, exactly those are made. Images are
    flipped, turned and, by `stain_jitter`, stained a little differently each time (`cellda.imaging.augment`); the paper does
    not do the last, and whether it helps is open (benchmarks/DECISIONS.md).
    """
