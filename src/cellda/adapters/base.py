"""The interface of an adaptation method, and the data it may see."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Set
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
    """What a method does to the model it receives; the rules for chains are a table over these."""

    ENCODER = "changes weights or statistics of the encoder or the embedding"
    HEAD = "changes weights or statistics of the existing head"
    NEW_HEAD = "replaces the head by its own"
    MEMORY = "stores what the model computed for images: their embeddings, or their class shares"
    VIEWS = "makes the model embed several views of every image"
    SOURCE_STATISTICS = "must start from an encoder with the source's statistics"


@dataclass(frozen=True)
class TargetView:
    """What an adapter sees of the target; never the query labels.

    Attributes:
        support: The labelled support images.
        unlabelled: Images of the target without labels, if the adapter declared `Need.UNLABELLED`.
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
        """The unlabelled pool, for adapters that declared `Need.UNLABELLED`."""
        assert self.unlabelled is not None
        return self.unlabelled


@dataclass(frozen=True)
class AdaptContext:
    """The context of an adaptation.

    Attributes:
        trainer: The training loop, on the run's device.
        seed: Seed of everything random in the adaptation.
        source: The labelled source images, one set per source, if the adapter declared `Need.SOURCE`; otherwise empty.
        held_out: Those of them that the source model was not trained on; empty if there are none.
    """

    trainer: "Trainer"
    seed: int
    source: "tuple[ImageSet, ...]" = ()
    held_out: "tuple[ImageSet, ...]" = ()

    def seen_by(self, adapter: "Adapter") -> "AdaptContext":
        """This context, without the source images if the adapter did not declare `Need.SOURCE`."""
        return self if Need.SOURCE in adapter.needs else replace(self, source=(), held_out=())

    def knowing(self, model: "CellClassifier") -> "AdaptContext":
        """This context without the source images of classes that `model` rules out (`CellClassifier.present`)."""
        if model.present is None:
            return self
        from cellda.data.image_set import of_classes  # loads torch, and recipes import this module

        kept = [number for number, name in enumerate(model.classes) if name in model.present]
        return replace(self, source=of_classes(self.source, kept), held_out=of_classes(self.held_out, kept))


@dataclass(frozen=True)
class Offer:
    """What a run can give an adapter, known before any training.

    Attributes:
        support: Number of labelled support images of each of the model's classes, in their order.
        unlabelled: Number of images in the unlabelled pool.
        source: Total number of labelled source images.
        classes: Names of the model's classes.
        missing: Classes that the target's dataset contains but the support does not.
        encoder: The encoder's structure without weights, on the `meta` device, to inspect its layers and parameters.
    """

    support: tuple[int, ...]
    unlabelled: int
    source: int
    classes: tuple[str, ...]
    missing: tuple[str, ...]
    encoder: "nn.Module"

    @property
    def labelled(self) -> int:
        """Total number of labelled support images."""
        return sum(self.support)


class Adapter(Settings, ABC):
    """An adaptation method; its fields are its hyper-parameters.

    Attributes:
        effects: What it does to the model. Every adapter, or a base class of it, must state them; an empty set if there are
            none.
        needs: What the method must be given; a run without it is refused before any training.
        start: What `adapt` receives as `model`.
        views: Number of views of every image that its model embeds; more than one requires `Effect.VIEWS`.

    Raises:
        ConfigurationError: If its class does not state its effects.
    """

    name: ClassVar[str]
    effects: ClassVar[frozenset[Effect]]
    needs: ClassVar[frozenset[Need]] = frozenset()
    start: ClassVar[Start] = Start.SOURCE
    views: ClassVar[int] = 1

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Refuse to create an instance of a class that does not state its effects, as Python does for abstract classes."""
        if problem := _misstated(cls):
            raise ConfigurationError(problem)
        return super().__new__(cls)

    def apply(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Call `adapt` with only what the adapter declared, and with a `clean` model before and after.

        Classes that the model rules out (`CellClassifier.present`) stay ruled out, whatever the adapter does with the head.

        Args:
            model: As for `adapt`, in any mode.
            target: All images of the target.
            context: Trainer, seed and all source images.

        Raises:
            ConfigurationError: If `adapt` does not return a classifier.
        """
        from cellda.models.classifier import CellClassifier  # loads torch, and recipes import this module

        present = model.present
        adapted = self.adapt(clean(model), target.seen_by(self), context.seen_by(self).knowing(model))
        if not isinstance(adapted, CellClassifier):
            raise ConfigurationError(
                f"The adapter '{self.name}' returned a {type(adapted).__name__} instead of a classifier; its `adapt` must end "
                "in `return model`."
            )
        if present is not None and adapted.present is None:  # the method has made a head of its own
            adapted.with_present(present)
        return clean(adapted)

    @property
    def makes_head(self) -> bool:
        """Whether it can start from an untrained head: it makes one of its own, or trains the one there with labels."""
        trains = Effect.HEAD in self.effects and Need.LABELS in self.needs
        return Effect.NEW_HEAD in self.effects or trains

    @property
    def uses_head(self) -> bool:
        """Whether it asks the head that it finds, or changes what the head was trained for."""
        return not self.makes_head and bool(self.effects - {Effect.VIEWS})

    @abstractmethod
    def adapt(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Adapt `model` to the target.

        Args:
            model: The adapter's own copy, to change and return; it contains the target's normalizer. All parameters require
                gradients and all layers are in evaluation mode, whatever ran before in a chain; the adapter need not restore
                either.
            target: The support set and, if declared, the unlabelled pool.
            context: Trainer, seed and, if declared, the source images.
        """

    def check(self, offer: Offer) -> None:
        """Refuse a run in which this adapter cannot work; called before any training.

        Raises:
            ConfigurationError: If it cannot work; the message says what would.
        """

    @classmethod
    def implied(cls, changes: Mapping[str, Any]) -> dict[str, Any]:
        """These hyper-parameters, together with any values they imply."""
        return dict(changes)

    @abstractmethod
    def image_passes(self, offer: Offer) -> int:
        """Number of images sent through the backbone while adapting, labelled, unlabelled and source together."""

    def parts(self) -> "tuple[Adapter, ...]":
        """The adapters that this one consists of: itself, unless it is a chain."""
        return (self,)

    def search_space(self) -> dict[str, Range]:
        """The hyper-parameters that a search may change: name -> allowed values."""
        return search_space(type(self))

    def searched(self) -> dict[str, Any]:
        """The current values of the hyper-parameters that a search may change."""
        return {name: getattr(self, name) for name in self.search_space()}

    def tuned(self, values: Mapping[str, Any]) -> Self:
        """A copy of this adapter with these values of searched hyper-parameters."""
        return self.model_copy(update=dict(values))


def clean(model: "CellClassifier") -> "CellClassifier":
    """Return `model` with all parameters requiring gradients and all layers in evaluation mode, like a source model."""
    return model.requires_grad_(True).eval()


def _misstated(cls: type[Adapter]) -> str | None:
    """What is wrong with the effects that a class states, or None."""
    effects = getattr(cls, "effects", None)
    if isinstance(effects, property):  # a chain's, which are those of its steps
        return None
    name = getattr(cls, "name", cls.__name__)
    if fields := [fact for fact in ("effects", "needs", "start", "views") if fact in cls.model_fields]:
        return (
            f"The adapter '{name}' ({cls.__module__}.{cls.__qualname__}) declares {', '.join(fields)} as a hyper-parameter; "
            f"write `{fields[0]} = ...` without a type, or with `ClassVar[...]`."
        )
    if not isinstance(effects, Set) or not all(isinstance(effect, Effect) for effect in effects):
        known = "\n".join(f"  - Effect.{effect.name}: {effect.value}" for effect in Effect)
        return (
            f"The adapter '{name}' ({cls.__module__}.{cls.__qualname__}) does not state its effects, which the rules for "
            "chains need. State them in the class, for example `effects = frozenset({Effect.ENCODER, Effect.HEAD})`, or "
            f"`effects = frozenset()` if there are none. The effects are:\n{known}"
        )
    if (cls.views > 1) != (Effect.VIEWS in effects):
        return f"The adapter '{name}' states views={cls.views}; state Effect.VIEWS if, and only if, it has more than one view."
    return None
