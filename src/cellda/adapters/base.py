"""What an adaptation method is, and all it may see."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Self

from cellda.errors import ConfigurationError
from cellda.plugins.settings import Range, Settings, search_space

if TYPE_CHECKING:
    from torch import nn

    from cellda.data.image_set import ImageSet
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


class Effect(Enum):
    """What a method does to the model that it is given; the rules of a chain are a table over these."""

    ENCODER = "changes weights or statistics of the encoder or the embedding"
    HEAD = "changes weights or statistics of the head that it finds"
    NEW_HEAD = "puts its own head in place of any other"
    MEMORY = "its model remembers what it made of images: their embeddings, or the shares of the classes among them"
    VIEWS = "its model embeds several views of every image"
    SOURCE_STATISTICS = "starts from an encoder with the statistics of the source"


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
        """This view without what the adapter did not declare: the support labels, the unlabelled pool."""
        view = self if Need.UNLABELLED in adapter.needs else replace(self, unlabelled=None)
        if Need.LABELS in adapter.needs:
            return view
        return replace(view, support=replace(view.support, known_labels=None))

    @property
    def pool(self) -> "ImageSet":
        """The unlabelled pool of an adapter that declared `Need.UNLABELLED`."""
        assert self.unlabelled is not None
        return self.unlabelled


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

    def seen_by(self, adapter: "Adapter") -> "AdaptContext":
        """This context without the source images where the adapter did not declare `Need.SOURCE`."""
        return self if Need.SOURCE in adapter.needs else replace(self, source=())


@dataclass(frozen=True)
class Offer:
    """What a run has for an adapter, known before any training.

    Attributes:
        support: Number of labelled support images of each of the model's classes, in their order.
        unlabelled: Number of images in the unlabelled pool.
        source: Number of labelled source images in all.
        classes: Names of the model's classes.
        missing: Classes that the target's dataset holds and the support does not.
        encoder: The encoder's structure without values, on the `meta` device: for asking which layers and parameters it has.
    """

    support: tuple[int, ...]
    unlabelled: int
    source: int
    classes: tuple[str, ...]
    missing: tuple[str, ...]
    encoder: "nn.Module"

    @property
    def labelled(self) -> int:
        """Number of labelled support images in all."""
        return sum(self.support)


class Adapter(Settings, ABC):
    """An adaptation method; its fields are its hyper-parameters.

    Attributes:
        effects: What it does to the model. Every adapter, or a base that it derives from, states them; one without any states
            an empty set.
        needs: What the method must be given; a run without it is refused before any training.
        start: What `adapt` receives as `model`.
        views: How many views of every image its model embeds; more than one goes with `Effect.VIEWS`.

    Raises:
        ConfigurationError: If its class does not state its effects.
    """

    name: ClassVar[str]
    effects: ClassVar[frozenset[Effect]]
    needs: ClassVar[frozenset[Need]] = frozenset()
    start: ClassVar[Start] = Start.SOURCE
    views: ClassVar[int] = 1

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Refuse a class that does not state its effects, as abstract classes are refused: whoever creates it."""
        if problem := _misstated(cls):
            raise ConfigurationError(problem)
        return super().__new__(cls)

    def apply(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Adapt `model` to the target: `adapt` with what the adapter declared alone, and a `clean` model before and after.

        Args:
            model: As for `adapt`, in any mode.
            target: All that there is of the target.
            context: Trainer, seed and all source images that there are.

        Raises:
            ConfigurationError: If `adapt` does not return a classifier.
        """
        from cellda.models.classifier import CellClassifier  # loads torch, and recipes import this module

        adapted = self.adapt(clean(model), target.seen_by(self), context.seen_by(self))
        if not isinstance(adapted, CellClassifier):
            raise ConfigurationError(
                f"The adapter '{self.name}' returned a {type(adapted).__name__} instead of a classifier; its `adapt` must end "
                "in `return model`."
            )
        return clean(adapted)

    @abstractmethod
    def adapt(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Adapt `model` to the target.

        Args:
            model: A model of the adapter's own to change and return, with the target's normalizer inside. All of its
                parameters require gradients and all of its layers are in evaluation mode, whatever came before in a chain;
                neither has to be restored.
            target: The support set and, if declared, the unlabelled pool.
            context: Trainer, seed and, if declared, the source images.
        """

    def check(self, offer: Offer) -> None:
        """Refuse what cannot work with what the run has; asked before any training.

        Raises:
            ConfigurationError: If it cannot; the message says what would.
        """

    @classmethod
    def implied(cls, changes: Mapping[str, Any]) -> dict[str, Any]:
        """What a user who names these hyper-parameters means: the same, and what follows from them."""
        return dict(changes)

    @abstractmethod
    def image_passes(self, offer: Offer) -> int:
        """Number of images sent through the backbone while adapting, labelled, unlabelled and source together."""

    def parts(self) -> "tuple[Adapter, ...]":
        """The adapters that this one is composed of: itself, unless it is a chain."""
        return (self,)

    def search_space(self) -> dict[str, Range]:
        """What a search may change: name of a value -> the values it may try."""
        return search_space(type(self))

    def searched(self) -> dict[str, Any]:
        """The present values of what a search may change."""
        return {name: getattr(self, name) for name in self.search_space()}

    def tuned(self, values: Mapping[str, Any]) -> Self:
        """This adapter with other values of what a search may change."""
        return self.model_copy(update=dict(values))


def clean(model: "CellClassifier") -> "CellClassifier":
    """`model`, all of its parameters requiring gradients and all of its layers in evaluation mode, as a source model is."""
    return model.requires_grad_(True).eval()


def _misstated(cls: type[Adapter]) -> str | None:
    """What is wrong with how a class states its effects, if anything is."""
    effects = getattr(cls, "effects", None)
    if isinstance(effects, property):  # a chain's, which are those of its steps
        return None
    name = getattr(cls, "name", cls.__name__)
    if not isinstance(effects, frozenset) or not all(isinstance(effect, Effect) for effect in effects):
        known = "\n".join(f"  - Effect.{effect.name}: {effect.value}" for effect in Effect)
        return (
            f"The adapter '{name}' ({cls.__module__}.{cls.__qualname__}) does not state its effects, by which chains are "
            "checked. State them in the class, for example `effects = frozenset({Effect.ENCODER, Effect.HEAD})`; an adapter "
            f"without any states `effects = frozenset()`. There are:\n{known}"
        )
    if (cls.views > 1) != (Effect.VIEWS in effects):
        return f"The adapter '{name}' states views={cls.views}; state Effect.VIEWS with more than one view, and only then."
    return None
