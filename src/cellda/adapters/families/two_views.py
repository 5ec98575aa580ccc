"""Two views of unlabelled images: a weak view, and a strong view of the same image."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from cellda.imaging.augment import random_strong
from cellda.training.examples import Batch, ImageExamples
from cellda.training.objective import Step


class Views(ImageExamples):
    """Labelled images, and unlabelled images in two views.

    The inputs are the weak views of all images in their order (what `ImageExamples` makes of them), followed by the strong
    views of the unlabelled ones in theirs; a strong view starts from the weak one (`augment.random_strong`).
    """

    def prepare(self, batch: Batch, generator: Generator) -> Float[Tensor, "n 3 s s"]:
        """Weak views of all images, then strong views of the unlabelled ones."""
        weak = super().prepare(batch, generator)
        # By set rather than by label, which would wait for the device.
        twice = [place for place, part in enumerate(batch[2]) if self.sets[part].known_labels is None]
        strong = random_strong(weak[twice], generator)
        return torch.cat([weak, strong]).contiguous(memory_format=torch.channels_last)


def split(
    step: Step,
) -> tuple[Float[Tensor, "l ..."], Float[Tensor, "u ..."], Float[Tensor, "u ..."]]:
    """Weak views of the labelled images, weak and strong views of the unlabelled ones, from what `Views` prepared.

    Args:
        step: A step on two sets, the labelled first.
    """
    weak, strong = step.inputs[: len(step.labels)], step.inputs[len(step.labels) :]
    return weak[step.of(0)], weak[step.of(1)], strong
