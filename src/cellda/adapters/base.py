"""What an adaptation method is, and all it may see."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from cellda.settings import Settings

if TYPE_CHECKING:
    from cellda.datasets.images import ImageSet
    from cellda.models.classifier import CellClassifier
    from cellda.training.loop import Trainer


class Need(Enum):
    """What a method must be given."""

    LABELS = "labels"
    """The labelled support images of the target."""
    UNLABELLED = "unlabelled"
    """Further images of the target, without labels."""
    SOURCE = "source"
    """The labelled source images."""


class Start(Enum):
    """Where a method starts from."""

    SOURCE = "source"
    """The model trained on the source images."""
    PRETRAINED = "pretrained"
    """The backbone's own weights (ImageNet), without any source training."""


@dataclass(frozen=True)
class TargetView:
    """All that an adapter sees of the target; query labels are not in it.

    Attributes:
        support: The labelled support images.
        unlabelled: Images of the target without labels, where the adapter declared `Need.UNLABELLED`.
    """

    support: "ImageSet"
    unlabelled: "ImageSet | None" = None

    def seen_by(self, adapter: "Adapter") -> "TargetView":
        """This view without the support labels where the adapter did not declare `Need.LABELS`."""
        if Need.LABELS in adapter.needs:
            return self
        return replace(self, support=replace(self.support, known_labels=None))


@dataclass(frozen=True)
class AdaptContext:
    """What surrounds an adaptation.

    Attributes:
        trainer: The one training loop, on the run's device.
        seed: Seed of everything random in the adaptation.
        source: The labelled source images, one set a source, where the adapter declared `Need.SOURCE`; else empty.
    """

    trainer: "Trainer"
    seed: int
    source: "tuple[ImageSet, ...]" = ()


class Adapter(Settings, ABC):
    """An adaptation method; its fields are its hyper-parameters.

    Attributes:
        needs: What the method must be given; a run without it is refused before any training.
        start: What `adapt` receives as `model`.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[Need]] = frozenset()
    start: ClassVar[Start] = Start.SOURCE

    @abstractmethod
    def adapt(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Adapt `model` to the target.

        Args:
            model: A model of the adapter's own to change and return, with the target's normalizer inside.
            target: The support set and, if declared, the unlabelled pool.
            context: Trainer, seed and, if declared, the source images.
        """

    def check(self, source_images: int) -> None:
        """Refuse hyper-parameters that cannot work with this many source images in all; asked before any training.

        Raises:
            ConfigurationError: If they cannot; the message says what would.
        """

    @classmethod
    def implied(cls, changes: Mapping[str, Any]) -> dict[str, Any]:
        """What a user who names these hyper-parameters means: the same, and what follows from them."""
        return dict(changes)

    def image_passes(self, support: int) -> int:
        """Number of images sent through the backbone for training with `support` labelled images, for time estimates."""
        del support
        return 0
