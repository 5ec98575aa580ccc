"""What of a classifier can be set after it is built: normalizer, classes that can occur, second view, calibration."""

from collections.abc import Sequence
from typing import Self

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from cellda.evaluation.calibration import Calibration
from cellda.models.heads import create
from cellda.models.heads.base import Head
from cellda.models.heads.present import Present, check_narrower
from cellda.models.heads.summed import Summed
from cellda.models.second_view import SecondView
from cellda.normalizers.base import Normalizer
from cellda.normalizers.spec import NormalizerSpec
from cellda.taxonomies.base import Taxonomy, sums


class Adjustable(nn.Module):
    """Base of `CellClassifier`.

    Attributes:
        classes: Class names in index order.
        head: Maps embeddings to logits.
        calibration: How its probabilities are calibrated; None if they are taken as they are. It belongs to these weights, as
            `seen` does.
        second_view: Trees on the measurements of a cell, whose probabilities correct those of the network
            (`models.second_view`); None if there are none. `probabilities` and `predict` use them, `forward` does not.
    """

    classes: tuple[str, ...]
    head: Head
    second_view: SecondView | None
    calibration: Calibration | None
    mean: Tensor
    normalizer_spec: NormalizerSpec
    normalizer: Normalizer

    def with_normalizer(self, spec: NormalizerSpec, state: dict[str, Tensor]) -> Self:
        """Replace the normalizer of this model by another one with its fitted state, and return the model."""
        self.normalizer_spec = spec
        self.normalizer = spec.build().to(self.mean.device)
        self.normalizer.load_state_dict(state)
        return self

    @property
    def present(self) -> tuple[str, ...] | None:
        """The classes that can occur, where somebody said so: all others have probability 0. None if all can."""
        head = self.head
        return tuple(self.classes[number] for number in head.present) if isinstance(head, Present) else None

    def with_present(self, names: Sequence[str]) -> Self:
        """Rule out all classes but these (`cellda.models.heads.present`), and return the model.

        Args:
            names: At least two of `classes`, in any order; a model that rules out classes can only be narrowed further.

        Raises:
            UnknownNameError: If a name is not a class of the model.
            ConfigurationError: If these are fewer than two, or the model rules one of them out.
        """
        check_narrower(names, self.present, self.classes)
        if set(names) < set(self.present or self.classes):
            kept = [number for number, name in enumerate(self.classes) if name in names]
            self.head = Present.around(self.head, kept)
        return self

    def in_classes(self, taxonomy: Taxonomy, seed: int) -> Self:
        """Make this model answer in the classes of a taxonomy, and return it.

        If its own classes are kinds of these, their probabilities are summed (`cellda.models.heads.summed`). Otherwise it
        gets a new head, which is untrained: encoder and embedding stay.

        Args:
            taxonomy: The classes.
            seed: Seed of a new head.
        """
        if taxonomy.classes == self.classes:
            return self
        parts = sums(taxonomy, self.classes)
        if parts is not None:
            self.head = Summed.around(self.head, parts)
        else:
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                head = create("mlp", self.head.width, len(taxonomy.classes))
            self.head = head.to(self.mean.device).eval()
        self.classes, self.second_view, self.calibration = taxonomy.classes, None, None
        return self

    def judged(
        self, embeddings: Float[Tensor, "b d"], pixels: Shaped[Tensor, "b 3 h w"]
    ) -> Float[Tensor, "b classes"]:
        """Class probabilities, by the head, the second view if there is one, and the calibration if there is one.

        Args:
            embeddings: Of the images.
            pixels: The raw batch in the model's size, uint8 or float in [0, 1].
        """
        found = self.head(embeddings).softmax(1).float()
        if self.second_view is not None:
            found = self.second_view(found, pixels)
        return found if self.calibration is None else self.calibration.applied(found)

    @torch.no_grad()
    def halved(self) -> Self:
        """Round the weights of layers to half precision, in place and in their own type, and return the model.

        It then is what a folder that was saved with `half` holds.
        """
        for weight in self.layer_weights().values():
            weight.copy_(weight.half())
        return self

    def layer_weights(self) -> dict[str, Tensor]:
        """The kernels and matrices by name: nearly all of a model's bytes."""
        return {name: weight for name, weight in self.named_parameters() if weight.ndim > 1}
