"""The ablation without source training."""

from typing import ClassVar

from cellda.adapters import register
from cellda.adapters.base import Start
from cellda.adapters.families.fine_tuning import FineTuning


@register("from_scratch")
class FromScratch(FineTuning):
    """Train from the backbone's ImageNet weights on the support images alone, without any source (ablation 1).

    The paper's "without source train". Its hyper-parameters are those of `full`, so the two differ only in where they start.
    """

    start: ClassVar[Start] = Start.PRETRAINED
