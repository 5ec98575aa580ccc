"""Agreement with a teacher that is the moving average of the model's weights."""

from copy import deepcopy
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, TargetView
from cellda.adapters.families.mixing import Mixing
from cellda.adapters.families.ramps import ramp_up
from cellda.adapters.families.two_views import Views, split
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.training.examples import ImageExamples
from cellda.training.loop import to_device
from cellda.training.objective import CrossEntropy, Step


@register("mean_teacher")
class MeanTeacher(Mixing):
    """Train for agreement on the pool with a moving average of the model's weights (Tarvainen and Valpola 2017).

    `L = CE(support) + weight r(t) mean_u |softmax(student(strong view)) - softmax(teacher(weak view))|^2 / classes`, and after
    every step `teacher <- a teacher + (1 - a) student`, `a = min(decay, 1 - 1 / (step + 1))`, for weights and running
    statistics. `r` rises over the first 40 % of the steps. The teacher predicts in evaluation mode, and is what is returned.
    The published `decay` of 0.99 or more is meant for some 10,000 steps; after the 150 here, such a teacher would still be
    half the source model.
    """

    examples: ClassVar[type[ImageExamples]] = Views
    passes: ClassVar[int] = 3

    decay: float = tunable(0.95, choices=(0.9, 0.95, 0.98, 0.99), ge=0, lt=1)
    weight: float = tunable(10.0, low=1.0, high=100.0, log=True, ge=0)

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Train every weight of `model`, and return its teacher."""
        to_device(model, context.trainer.device)
        objective = Consistency(self, model)
        self.fine_tune(model, target, context, objective=objective)
        return objective.teacher


class Consistency(CrossEntropy):
    """The loss of `MeanTeacher` for `student`, the model that is trained."""

    def __init__(self, settings: MeanTeacher, student: CellClassifier) -> None:
        super().__init__(settings.label_smoothing)
        self.settings, self.student = settings, student
        self.teacher = deepcopy(student).eval()
        self._quick = self.teacher.folded().eval()  # shares the teacher's weights, which are updated in place
        self._steps = 0

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """Cross-entropy of the labelled weak views, and the distance between student and teacher on the others."""
        labelled, weak, strong = split(step)
        with torch.no_grad():
            wanted = self._quick(weak).softmax(1)
        logits = module(torch.cat([labelled, strong]))
        supervised = self.of(logits[: len(labelled)], step.labels[step.of(0)])
        apart = F.mse_loss(logits[len(labelled) :].softmax(1), wanted)
        return supervised + self.settings.weight * ramp_up(step.progress) * apart

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the teacher towards the student."""
        self._steps += 1
        kept = min(self.settings.decay, 1 - 1 / (self._steps + 1))
        student = self.student.state_dict()
        for name, value in self.teacher.state_dict().items():
            if value.is_floating_point():
                value.lerp_(student[name], 1 - kept)
            else:  # how many batches a BatchNorm has seen
                value.copy_(student[name])
