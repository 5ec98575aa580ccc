"""The ablation without source training."""

from typing import ClassVar

from cellda.adapters import register
from cellda.adapters.base import Start
from cellda.adapters.full import Full


@register("from_scratch")
class FromScratch(Full):
    """Train from the backbone's ImageNet weights on the support images alone, without any source (ablation 1).

    The paper's "without source train". Hyper-parameters are those of `full`, so that the two differ in nothing but the
    start.
    """

    start: ClassVar[Start] = Start.PRETRAINED
